package ccm_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
)

// idleModules is how many modules are measured at a time, and pingRuns how many
// runs of goroutines a ping may cost, at both ends: it is about 6.
const (
	idleModules = 25
	pingRuns    = 12
)

// TestIdleWakeUps: a module that has nothing to do, but has a host, a shadow and a
// connection, wakes up once in 5 s (ruling B6), when paho looks whether a ping is
// due. It is compared with goroutines that do nothing but wake up that often.
// Reads on the UART wait without a timeout.
func TestIdleWakeUps(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // on several, goroutines run more often than they must
	var allowed float64
	synctest.Test(t, func(t *testing.T) {
		for range idleModules {
			go func() {
				tick := time.NewTicker(5 * time.Second)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
					case <-t.Context().Done():
						return
					}
				}
			}()
			time.Sleep(10 * time.Millisecond) // all at different times
		}
		allowed = runsInAnHour()
	})
	for _, tt := range []struct {
		name      string
		keepalive time.Duration
		pings     int // in an hour
	}{
		{"no ping is due", 18 * time.Hour, 0},
		{"usual keepalive", 0, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cloud := newCloud(t)
				var reads atomic.Int64
				for i := range idleModules {
					s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
					cfg := ccm.Config{ID: fmt.Sprint("idle-", i), Cloud: via(cloud), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}}
					cfg.Cloud.KeepAlive = tt.keepalive
					cfg.Hosts = []ccm.HostConfig{{Open: func(ctx context.Context) (framing.Port, error) {
						p, err := s.uart.OpenModule(ctx)
						return &countingPort{p, &reads}, err
					}}}
					up(t, cfg, s)
				}
				time.Sleep(10 * time.Minute) // the first fetch of the shadow, and what comes of it
				readBefore := reads.Load()
				got, limit := runsInAnHour(), 1.02*allowed+float64(tt.pings*pingRuns)
				t.Logf("%.1f runs of goroutines for each module, that of its broker included; %.1f for a ticker", got, allowed)
				if got > limit {
					t.Errorf("%.1f runs of goroutines, at most %.1f are expected", got, limit)
				}
				if n := reads.Load() - readBefore; n > 0 {
					t.Errorf("%d reads on idle UARTs have returned", n)
				}
			})
		})
	}
}

// runsInAnHour returns how often goroutines are scheduled in an hour, for each
// module, those of synctest that advance the time included. The runtime notes one
// run of a goroutine in eight.
func runsInAnHour() float64 {
	noted := func() (n uint64) {
		s := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
		metrics.Read(s)
		for _, c := range s[0].Value.Float64Histogram().Counts {
			n += c
		}
		return n
	}
	before := noted()
	time.Sleep(time.Hour)
	return float64(8*(noted()-before)) / idleModules
}

// countingPort counts the reads that have returned.
type countingPort struct {
	framing.Port
	reads *atomic.Int64
}

func (p *countingPort) Read(b []byte) (int, error) {
	defer p.reads.Add(1)
	return p.Port.Read(b)
}
