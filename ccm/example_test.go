package ccm_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc/typed"
)

// A module joins a stock host to a broker: here both are in this process.
func Example() {
	broker, err := ccmtest.NewCloud(ccmtest.CloudOptions{})
	if err != nil {
		panic(err)
	}
	defer broker.Close()
	line := ccmtest.NewUART(ccmtest.Line{})
	mcu := ccmtest.NewMCU(ccmtest.MCUOptions{})

	m, err := ccm.New(ccm.Config{
		ID:     "dev-1",
		Hosts:  []ccm.HostConfig{{Open: line.OpenModule}},
		Cloud:  &cloud.Config{Servers: []string{"mqtt://broker"}, Dial: broker.Dial},
		Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
	})
	if err != nil {
		panic(err)
	}
	m.Handle("Greet", typed.Func(func(name string) string { return "hello " + name })) // for the host and the cloud

	ctx, cancel := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	ends.Go(func() { m.Run(ctx) })
	ends.Go(func() { mcu.Run(ctx, line.Host()) })

	sum, err := m.Host("").Call(ctx, nil, "Sum", "[%d,%d]", 2, 3)
	fmt.Printf("the host answers %s %v\n", sum, err)

	broker.SetDesired("dev-1", `{"on":true}`)
	for broker.Shadow("dev-1").Delta != "" { // the host has not switched yet
		time.Sleep(time.Millisecond)
	}
	fmt.Println("the LED is on:", mcu.On())

	cancel()
	ends.Wait()
	// Output:
	// the host answers 5 <nil>
	// the LED is on: true
}
