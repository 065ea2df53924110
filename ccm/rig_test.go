package ccm_test

import (
	"context"
	"sync"
	"testing"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// station is a host on a line of its own.
type station struct {
	uart *ccmtest.UART
	mcu  *ccmtest.MCU
}

func newStation(l ccmtest.Line, o ccmtest.MCUOptions) *station {
	return &station{uart: ccmtest.NewUART(l), mcu: ccmtest.NewMCU(o)}
}

// config describes the way to the station's host.
func (s *station) config(name string) ccm.HostConfig {
	return ccm.HostConfig{Name: name, Open: s.uart.OpenModule, Reset: s.mcu.Reset}
}

// rig is a module that runs, with hosts and a broker. It is for use inside a
// synctest bubble.
type rig struct {
	t      testing.TB
	module *ccm.Module
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// start runs a module and the hosts of stations.
func start(t testing.TB, cfg ccm.Config, stations ...*station) *rig {
	t.Helper()
	m, err := ccm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{t: t, module: m, cancel: cancel}
	r.work.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	for _, s := range stations {
		r.work.Go(func() { s.mcu.Run(ctx, s.uart.Host()) })
	}
	return r
}

// stop ends everything.
func (r *rig) stop() {
	r.cancel()
	r.work.Wait()
}
