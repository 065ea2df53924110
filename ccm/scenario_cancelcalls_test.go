package ccm_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
)

// TestScenario20Calls cancels single calls in the states in which they wait. The
// module goes on.
func TestScenario20Calls(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reach func(s *stage)
		call  func(ctx context.Context, s *stage) error
	}{
		{"Call, no answer", func(s *stage) { s.settle(); s.station.mcu.Hang(true) }, callSum},
		{"Call, stuck", func(s *stage) { s.settle(); s.stuck() }, callSum},
		{"Call, no port", func(s *stage) { s.settle(); s.station.uart.Module().Unplug(); time.Sleep(time.Second) }, callSum},
		{"Notify, stuck", func(s *stage) { s.settle(); s.stuck() }, func(ctx context.Context, s *stage) error {
			return s.host().Notify(ctx, "Note", "")
		}},
		{"Wait", func(s *stage) { s.station.mcu.Hold(true); s.begin() }, func(ctx context.Context, s *stage) error {
			return s.host().Wait(ctx)
		}},
		{"Reset", func(s *stage) {
			s.cfg.Hosts[0].Reset = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			s.settle()
		}, func(ctx context.Context, s *stage) error { return s.host().Reset(ctx) }},
		{"Publish, no PUBACK", func(s *stage) { s.settle(); s.cloud.SetAcks(ccmtest.Ack{Drop: true}) }, func(ctx context.Context, s *stage) error {
			return s.rig.module.Publish(ctx, "t", 1, []byte("x"))
		}},
		{"Publish, swallowed", func(s *stage) { s.settle(); s.cloud.Freeze(true) }, func(ctx context.Context, s *stage) error {
			return s.rig.module.Publish(ctx, "t", 1, []byte("x"))
		}},
		{"Subscribe, no SUBACK", func(s *stage) { s.settle(); s.ignore(ccmtest.BrokerSubscribe, "t") }, func(ctx context.Context, s *stage) error {
			return s.rig.module.Subscribe(ctx, "t", 1, func(string, []byte) {})
		}},
		{"Exclusive", func(s *stage) { s.settle() }, func(ctx context.Context, s *stage) error {
			return s.host().Exclusive(ctx, func(ctx context.Context, port framing.Port) error {
				port.(*ccmtest.End).SetMode(uart.Mode8E1(115200))
				port.(*ccmtest.End).SetDTR(true)
				<-ctx.Done()
				return ctx.Err()
			})
		}},
		{"Exclusive, opening the port", func(s *stage) {
			open := s.cfg.Hosts[0].Open
			var stuck atomic.Bool
			s.cfg.Hosts[0].Open = func(ctx context.Context) (framing.Port, error) {
				for stuck.Load() && ctx.Err() == nil {
					time.Sleep(10 * time.Millisecond)
				}
				return open(ctx)
			}
			s.settle()
			stuck.Store(true)
			s.work.Go(func() { time.Sleep(5 * time.Second); stuck.Store(false) })
		}, func(ctx context.Context, s *stage) error {
			return s.host().Exclusive(ctx, func(context.Context, framing.Port) error { return errors.New("used") })
		}},
		{"Exclusive, port opening for the link", func(s *stage) {
			open := s.cfg.Hosts[0].Open
			begin := time.Now()
			s.cfg.Hosts[0].Open = func(ctx context.Context) (framing.Port, error) {
				select { // such as a TCP connection that takes long
				case <-time.After(time.Until(begin.Add(20 * time.Second))):
					return open(ctx)
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			s.begin()
			time.Sleep(time.Second)
		}, func(ctx context.Context, s *stage) error {
			return s.host().Exclusive(ctx, func(context.Context, framing.Port) error { return errors.New("used") })
		}},
		{"Exclusive, in line", func(s *stage) {
			s.settle()
			s.work.Go(func() {
				s.host().Exclusive(context.Background(), func(context.Context, framing.Port) error { time.Sleep(10 * time.Second); return nil })
			})
			time.Sleep(time.Second)
		}, func(ctx context.Context, s *stage) error {
			return s.host().Exclusive(ctx, func(context.Context, framing.Port) error { return errors.New("used") })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				tt.reach(s)
				defer func() { s.rig.stop() }()
				ctx, cancel := context.WithCancel(t.Context())
				began := time.Now()
				time.AfterFunc(time.Second, cancel)
				if err := tt.call(ctx, s); !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
				if d := time.Since(began); d < time.Second || d > time.Second+prompt {
					t.Errorf("returned %v after the cancel", d-time.Second)
				}
				s.work.Wait()
				s.mend()
				time.Sleep(2 * time.Minute)
				s.state(ccm.HostReady)
				answers(t, s.host())
				if end := s.station.uart.Module(); end.Mode() != uart.Mode8N1(115200) {
					t.Errorf("the port was left in mode %v", end.Mode())
				} else if dtr, _ := end.Lines(); dtr {
					t.Error("DTR was left asserted")
				}
				if !s.rig.module.Status().Cloud.Connected {
					t.Error("the broker is not connected")
				}
			})
		})
	}
}

func callSum(ctx context.Context, s *stage) error {
	_, err := s.host().Call(ctx, nil, "Sum", "[1,2]")
	return err
}
