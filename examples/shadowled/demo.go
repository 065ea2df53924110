package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// demo joins the LED to a module and a cloud in memory, and switches it from
// there. It fails unless the shadow then says that it was done.
func demo(parent context.Context, l *led) error {
	sky, err := ccmtest.NewCloud(ccmtest.CloudOptions{})
	if err != nil {
		return err
	}
	defer sky.Close()
	line := ccmtest.NewUART(ccmtest.Line{Baud: 115200})
	module, err := ccm.New(ccm.Config{
		ID:     "led-1",
		Hosts:  []ccm.HostConfig{{Open: line.OpenModule}},
		Cloud:  &cloud.Config{Servers: []string{"mqtt://127.0.0.1"}, Dial: sky.Dial},
		Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(parent, 20*time.Second)
	var ends sync.WaitGroup
	defer ends.Wait()
	defer cancel()
	ends.Go(func() { module.Run(ctx) })
	ends.Go(func() { l.host.Run(ctx, line.Host()) })
	for _, desired := range []string{`{"on":true}`, `{"on":false}`} {
		fmt.Fprintf(l.out, "the cloud desires %s\n", desired)
		if err := sky.SetDesired("led-1", desired); err != nil {
			return err
		}
		s := sky.Shadow("led-1")
		for ; s.Delta != "" && ctx.Err() == nil; s = sky.Shadow("led-1") {
			time.Sleep(10 * time.Millisecond)
		}
		switch {
		case parent.Err() != nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("the LED does not obey: %s", s.Delta)
		}
		fmt.Fprintf(l.out, "the shadow says   %s\n", s.Reported)
	}
	return nil
}
