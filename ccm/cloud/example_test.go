package cloud_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"

	mochi "github.com/mochi-mqtt/server/v2"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// A device that is asked for its temperature and answers. The broker runs in the
// same process; a real one needs only its address.
func Example() {
	broker := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	broker.AddHook(new(hook), nil) // everybody may do everything
	broker.Serve()
	defer broker.Close()

	ready, answered := make(chan struct{}), make(chan struct{})
	var c *cloud.Conn
	c, err := cloud.New(cloud.Config{
		Servers:  []string{"broker.example"}, // "mqtts://..." for TLS
		ClientID: "thermometer",
		Dial: func(context.Context, string, string) (net.Conn, error) {
			device, server := pipe()
			go broker.EstablishConnection("pipe", server)
			return device, nil
		},
		OnStatus: func(s cloud.Status) {
			fmt.Println(s)
			if s.Connected {
				close(ready)
			}
		},
		OnMessage: func(m *cloud.Message) {
			defer m.Ack()
			fmt.Printf("%s %q\n", m.Topic, m.Payload)
			if m.Topic == "thermometer/get" {
				answer := cloud.Message{Topic: "thermometer/value", Payload: []byte("21.5"), QoS: 1}
				if err := c.PublishFunc(answer, nil); err != nil {
					fmt.Println(err)
				}
				return
			}
			close(answered)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()

	<-ready
	if err := c.Subscribe(ctx, cloud.Subscription{Filter: "thermometer/#", QoS: 1}); err != nil {
		fmt.Println(err)
	}
	broker.Publish("thermometer/get", nil, false, 1)
	<-answered
	cancel()
	<-ended
	// Output:
	// connected to broker.example:1883
	// thermometer/get ""
	// thermometer/value "21.5"
	// stopped
}

func ExampleMatch() {
	for _, topic := range []string{"home/kitchen/lamp", "home/lamp", "office/kitchen/lamp"} {
		fmt.Println(topic, cloud.Match("home/+/lamp", topic))
	}
	// Output:
	// home/kitchen/lamp true
	// home/lamp false
	// office/kitchen/lamp false
}

func ExampleSecret() {
	password := cloud.Secret("swordfish")
	fmt.Printf("%v %+v\n", password, struct{ Password cloud.Secret }{password})
	io.WriteString(io.Discard, string(password)) // where it is needed
	// Output: ******** {Password:********}
}
