package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// demo switches the pump on from a host, and off from the cloud, together with
// something for the host. It fails unless both obey.
func demo(parent context.Context, out io.Writer) error {
	sky, err := ccmtest.NewCloud(ccmtest.CloudOptions{})
	if err != nil {
		return err
	}
	defer sky.Close()
	line := ccmtest.NewUART(ccmtest.Line{Baud: 115200})
	mcu := ccmtest.NewMCU(ccmtest.MCUOptions{Mirror: true}) // a host of 2018
	v, err := newVariant(line.OpenModule, &cloud.Config{Servers: []string{"mqtt://127.0.0.1"}, Dial: sky.Dial}, out, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(parent, 20*time.Second)
	var ends sync.WaitGroup
	defer ends.Wait()
	defer cancel()
	ends.Go(func() { v.Run(ctx) })
	ends.Go(func() { mcu.Run(ctx, line.Host()) })
	if _, err = mcu.Call(ctx, "Pump.Set", `[%B]`, true); err == nil {
		fmt.Fprintln(out, `the cloud desires {"on":true,"pump":false}`)
		err = sky.SetDesired("pump-1", `{"on":true,"pump":false}`)
	}
	for err == nil && (!mcu.On() || v.pump.Load() || sky.Shadow("pump-1").Delta != "") {
		time.Sleep(10 * time.Millisecond)
		err = ctx.Err()
	}
	switch {
	case parent.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(out, "the host was told %s; the shadow says %s\n", mcu.State(), sky.Shadow("pump-1").Reported)
	return err
}
