package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

const (
	deviceID  = "demo"
	downTopic = deviceID + "/down"
	upTopic   = deviceID + "/up"
	demoBaud  = 115200
)

// rig is the parts of the demo, joined.
type rig struct {
	d      *demo
	steps  []step // the tour
	begun  time.Time
	cancel context.CancelFunc
	ctx    context.Context
	ended  sync.WaitGroup

	cloud  *ccmtest.Cloud // a broker and a shadow service
	door   *door          // for programs outside, and for the user
	module *ccm.Module
	user   *user // somebody in the cloud

	stock, modern         *ccmtest.MCU
	stockLine, modernLine *ccmtest.UART
	shown                 atomic.Int32 // which frames are shown
}

// Values of rig.shown.
const (
	showNothing int32 = iota
	showDamaged
	showAll
)

// newRig makes the parts.
func newRig(ctx context.Context, d *demo) (*rig, error) {
	cloud, err := ccmtest.NewCloud(ccmtest.CloudOptions{})
	if err != nil {
		return nil, err
	}
	r := &rig{d: d, steps: steps, begun: time.Now(), cloud: cloud}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if !d.once || d.frames {
		r.shown.Store(showAll)
	}
	r.stockLine = ccmtest.NewUART(ccmtest.Line{Baud: demoBaud})
	r.modernLine = ccmtest.NewUART(ccmtest.Line{Baud: demoBaud, Seed: 1})
	info := jsonrpc.SysInfo{FWVersion: "1.0", FWID: "demo", Arch: "stm32", App: "demo"}
	r.stock = ccmtest.NewMCU(ccmtest.MCUOptions{
		Generation: ccmtest.Gen2018, Info: info, Mirror: true, BootTime: 50 * time.Millisecond, BootText: "demo firmware 1.0\r\n",
	})
	r.modern = ccmtest.NewMCU(ccmtest.MCUOptions{
		Generation: ccmtest.GenModern, Info: info, Mirror: true, Host: host.Config{RequireCRC: true},
	})
	if r.module, err = ccm.New(r.moduleConfig()); err == nil {
		r.door, err = openDoor(ctx, d.listen, cloud.Dial)
	}
	if err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// moduleConfig is that of the module.
func (r *rig) moduleConfig() ccm.Config {
	return ccm.Config{
		ID:   deviceID,
		Info: ccm.Info{App: "ccm demo", FWVersion: version()},
		Hosts: []ccm.HostConfig{
			{Open: r.opener("stock", r.stockLine)},
			{Name: "modern", Open: r.opener("modern", r.modernLine), CRC: framing.CRCSend, RequireCRC: true, Retries: 6},
		},
		Cloud: &cloud.Config{
			Servers: []string{"mqtt://127.0.0.1"}, Dial: r.cloud.Dial,
			BackoffMin: 100 * time.Millisecond, BackoffMax: time.Second,
		},
		Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
	}
}

// start starts the parts.
func (r *rig) start() (err error) {
	r.ended.Go(func() { r.stock.Run(r.ctx, r.tap(r.stockLine.Host(), cyan, "module", "stock")) })
	r.ended.Go(func() { r.modern.Run(r.ctx, r.tap(r.modernLine.Host(), cyan, "module", "modern")) })
	r.ended.Go(func() { r.module.Run(r.ctx) })
	r.ended.Go(func() {
		if err := r.door.run(r.ctx); err != nil {
			r.d.log.printf("no more TCP connections to the broker: %v\n", err)
		}
	})
	r.user, err = newUser(r.ctx, r.door.address())
	return err
}

// stop ends everything.
func (r *rig) stop() {
	r.cancel()
	if r.user != nil {
		r.user.leave()
	}
	r.ended.Wait()
	r.cloud.Close()
	if r.door != nil {
		r.door.listener.Close() // if it was not started
	}
}
