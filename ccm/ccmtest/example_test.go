package ccmtest_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// TestSum is a whole test of a program that speaks to a host.
func TestSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := ccmtest.NewUART(ccmtest.Line{Baud: 115200, Seed: 7})
		mcu := ccmtest.NewMCU(ccmtest.MCUOptions{Generation: ccmtest.Gen2018})
		go mcu.Run(t.Context(), line.Host())
		module := jsonrpc.NewConn(framing.NewConn(line.Module(), nil), &jsonrpc.ConnOptions{FirstID: 1})
		go module.Run(t.Context())
		sum, err := module.Call(t.Context(), nil, "Sum", "[%d,%d]", 2, 3)
		if err != nil || string(sum) != "5" {
			t.Errorf("Sum: %s, %v\n%s", sum, err, ccmtest.FormatTrace(line.Trace()))
		}
	})
}

// TestShadow is the test of the package documentation.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		aws, _ := ccmtest.NewCloud(ccmtest.CloudOptions{})
		defer aws.Close()
		line := ccmtest.NewUART(ccmtest.Line{Baud: 115200, Seed: 7})
		mcu := ccmtest.NewMCU(ccmtest.MCUOptions{Generation: ccmtest.Gen2018})
		go mcu.Run(t.Context(), line.Host())
		m, _ := ccm.New(ccm.Config{ID: "lamp", Hosts: []ccm.HostConfig{{Open: line.OpenModule}},
			Cloud: &cloud.Config{Servers: []string{"broker"}, Dial: aws.Dial}, Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
		go m.Run(t.Context())
		aws.SetDesired("lamp", `{"on":true}`)
		time.Sleep(time.Minute) // of virtual time
		if !mcu.On() {
			t.Errorf("the lamp is off:\n%s", ccmtest.FormatTrace(line.Trace()))
		}
	})
}

// A host of 2018 and the bytes that it exchanges with a module.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	line := ccmtest.NewUART(ccmtest.Line{})
	mcu := ccmtest.NewMCU(ccmtest.MCUOptions{Generation: ccmtest.Gen2018, Report: ccmtest.ReportNone})
	ended := make(chan error)
	go func() { ended <- mcu.Run(ctx, line.Host()) }()
	mcu.Ready(ctx)

	module := framing.NewConn(line.Module(), nil)
	module.WriteFrame([]byte(`{"id":1,"method":"Sum","params":[2,3]}`))
	frame, _ := module.ReadFrame()
	fmt.Printf("%s\n", frame)
	module.WriteFrame([]byte(`{"id":1,"error":{"code":1}}`)) // of which this generation knows nothing
	frame, _ = module.ReadFrame()
	fmt.Printf("%s\n", frame)

	cancel()
	<-ended
	fmt.Printf("%q\n", mcu.Received())
	// Output:
	// {"id":1,"result":5}
	// {"error":{"code":-32700,"message":"{\"id\":1,\"error\":{\"code\":1}}"}}
	// ["{\"id\":1,\"method\":\"Sum\",\"params\":[2,3]}" "{\"id\":1,\"error\":{\"code\":1}}"]
}

// A user changes the desired state of a thing that nobody has connected yet.
func ExampleCloud() {
	c, err := ccmtest.NewCloud(ccmtest.CloudOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	c.Subscribe("$aws/things/+/shadow/update/delta", func(m ccmtest.Message) { fmt.Println(m.Topic) })
	c.SetDesired("lamp", `{"on":true}`)
	fmt.Printf("%+v\n", c.Shadow("lamp"))
	// Output:
	// $aws/things/lamp/shadow/update/delta
	// {Desired:{"on":true} Reported: Delta:{"on":true} Version:1}
}
