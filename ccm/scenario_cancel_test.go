package ccm_test

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
)

// prompt is how soon after a cancel everything must have returned.
const prompt = 100 * time.Millisecond

// stage is where a module is canceled: a host, a cloud, and what goes wrong with
// them.
type stage struct {
	t       *testing.T
	cfg     ccm.Config
	station *station
	cloud   *ccmtest.Cloud
	silence atomic.Pointer[silence]
	rig     *rig
	work    sync.WaitGroup // of what the stage has started
}

// silence makes the broker not answer a client any more.
type silence struct {
	kind  ccmtest.BrokerEventKind // when this happens
	topic string                  // with this topic, if it is not ""
	over  chan struct{}
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, station: newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Report: ccmtest.ReportNone})}
	var err error
	s.cloud, err = ccmtest.NewCloud(ccmtest.CloudOptions{Broker: ccmtest.BrokerOptions{Observer: func(e ccmtest.BrokerEvent) {
		if q := s.silence.Load(); q != nil && e.Client == "dev" && e.Kind == q.kind && (q.topic == "" || q.topic == e.Topic) {
			<-q.over
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.mend(); s.cloud.Close() })
	h := s.station.config("")
	h.Open = s.open
	s.cfg = ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h}, Cloud: via(s.cloud), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}}
	return s
}

// open opens the port as package uart does: the mode and the pins are set.
func (s *stage) open(ctx context.Context) (framing.Port, error) {
	p, err := s.station.uart.OpenModule(ctx)
	if err != nil {
		return nil, err
	}
	e := p.(*ccmtest.End)
	e.SetMode(uart.Mode8N1(115200))
	e.SetDTR(false)
	return e, nil
}

// ignore makes the broker silent once a client has sent a packet of a kind, and
// mend ends that and everything else that goes wrong.
func (s *stage) ignore(kind ccmtest.BrokerEventKind, topic string) {
	s.silence.Store(&silence{kind, topic, make(chan struct{})})
}

func (s *stage) mend() {
	if q := s.silence.Swap(nil); q != nil {
		close(q.over)
	}
	s.station.uart.Module().Stall(false)
	s.station.uart.Module().Plug()
	s.station.mcu.Hold(false)
	s.station.mcu.Hang(false)
	s.cloud.Freeze(false)
	s.cloud.Refuse(0)
	s.cloud.Deny()
	s.cloud.SetAcks(ccmtest.Ack{})
}

// begin runs the module and the host.
func (s *stage) begin() { s.rig = start(s.t, s.cfg, s.station) }

// settle runs them until all is well.
func (s *stage) settle() {
	s.begin()
	found(s.t, s.rig.module.Host(""))
	s.rig.online()
	time.Sleep(time.Second)
}

// host is the host of the module.
func (s *stage) host() *ccm.Host { return s.rig.module.Host("") }

// stuck makes the host take nothing more.
func (s *stage) stuck() { s.station.uart.Module().Stall(true) }

// state demands the state of the host.
func (s *stage) state(want ccm.HostState) {
	s.t.Helper()
	if got := s.host().Status().State; got != want {
		s.t.Errorf("the host is %v, want %v", got, want)
	}
}

// cancel ends Run, which has to return promptly, with all that the stage has
// started.
func (s *stage) cancel() {
	s.t.Helper()
	begin := time.Now()
	s.rig.stop()
	s.work.Wait()
	if d := time.Since(begin); d > prompt {
		s.t.Errorf("returned after %v", d)
	}
}

// again demands that everything is as it was: another module with the same host
// and cloud comes up.
func (s *stage) again() {
	s.t.Helper()
	s.mend()
	if mode := s.station.uart.Module().Mode(); mode != uart.Mode8N1(115200) {
		s.t.Errorf("the port was left in mode %v", mode)
	}
	h := &s.cfg.Hosts[0]
	h.Open, h.Reset, s.cfg.Shadow.Backend = s.open, s.station.mcu.Reset, ccm.AWS
	r := up(s.t, s.cfg, s.station)
	answers(s.t, r.module.Host(""))
}

// TestScenario20 cancels Run in every state: it returns within 100 ms, with
// everything that was in progress, and leaves all as it was.
func TestScenario20(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reach func(s *stage)
	}{
		{"port not there", func(s *stage) {
			s.cfg.Hosts[0].Open = func(context.Context) (framing.Port, error) { return nil, fs.ErrNotExist }
			s.begin()
			time.Sleep(5 * time.Second)
			s.state(ccm.HostDown)
		}},
		{"port opening", func(s *stage) {
			s.cfg.Hosts[0].Open = func(ctx context.Context) (framing.Port, error) { <-ctx.Done(); return nil, ctx.Err() }
			s.begin()
			time.Sleep(5 * time.Second)
			s.state(ccm.HostDown)
		}},
		{"discovery", func(s *stage) {
			s.station.mcu.Hold(true)
			s.begin()
			time.Sleep(500 * time.Millisecond)
			s.state(ccm.HostSearching)
		}},
		{"discovery, stuck", func(s *stage) {
			s.stuck()
			s.begin()
			time.Sleep(500 * time.Millisecond)
			s.state(ccm.HostSearching)
		}},
		{"opaque", func(s *stage) {
			s.station.mcu.Hold(true)
			s.begin()
			time.Sleep(10 * time.Second)
			s.state(ccm.HostOpaque)
		}},
		{"ready", func(s *stage) { s.settle(); s.state(ccm.HostReady) }},
		{"watching", func(s *stage) {
			s.cfg.Hosts[0].Watchdog.Interval = time.Minute
			s.settle()
			s.station.mcu.Hang(true)
			time.Sleep(65 * time.Second)
		}},
		{"resetting", func(s *stage) {
			s.cfg.Hosts[0].Watchdog.Interval = time.Second
			s.cfg.Hosts[0].Reset = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			s.settle()
			s.station.mcu.Hang(true)
			time.Sleep(10 * time.Second)
			s.state(ccm.HostSearching)
		}},
		{"delivering a message, stuck", func(s *stage) {
			s.settle()
			if _, err := s.station.mcu.Call(s.t.Context(), "MQTT.Sub", `{"topic":"t"}`); err != nil {
				s.t.Error(err)
			}
			s.stuck()
			for range 5 {
				publish(s.t, s.cloud.Broker, "t", "x")
			}
			time.Sleep(time.Second)
			if n := s.host().Status().Queued; n != 4 {
				s.t.Errorf("%d messages wait", n)
			}
		}},
		{"delivering a delta, stuck", func(s *stage) {
			s.settle()
			s.stuck()
			set(s.t, s.cloud, "dev", `{"a":1}`)
			time.Sleep(time.Second)
		}},
		{"calling", func(s *stage) {
			s.settle()
			s.station.mcu.Hang(true)
			for range 3 {
				s.work.Go(func() {
					if _, err := s.host().Call(context.Background(), nil, "Sum", "[1,2]"); err == nil {
						s.t.Error("a hung host has answered")
					}
				})
			}
			time.Sleep(time.Second)
		}},
		{"calling, port not there", func(s *stage) {
			s.cfg.Hosts[0].Open = func(context.Context) (framing.Port, error) { return nil, fs.ErrNotExist }
			s.begin()
			s.work.Go(func() {
				if _, err := s.host().Call(context.Background(), nil, "Sum", "[1,2]"); err == nil {
					s.t.Error("a host without a port has answered")
				}
			})
			time.Sleep(time.Second)
		}},
		{"called by the cloud", func(s *stage) {
			s.settle()
			s.station.mcu.Hang(true)
			publish(s.t, s.cloud.Broker, "dev/rpc", `{"id":1,"src":"me","method":"Sum","params":[1,2]}`)
			time.Sleep(time.Second)
			if n := s.rig.module.Stats().CloudCalls; n != 1 {
				s.t.Errorf("%d calls", n)
			}
		}},
		{"called by the host", func(s *stage) {
			s.settle()
			s.cloud.SetAcks(ccmtest.Ack{Drop: true})
			s.station.mcu.Print(s.t.Context(), pub("1", "t", "x", 1)+"\n")
			time.Sleep(time.Second)
		}},
		{"cloud: dialing", func(s *stage) {
			s.cloud.Freeze(true)
			s.begin()
			time.Sleep(time.Second)
		}},
		{"cloud: CONNECT unanswered", func(s *stage) {
			s.ignore(ccmtest.BrokerConnect, "")
			s.begin()
			time.Sleep(time.Second)
		}},
		{"cloud: SUBSCRIBE unanswered", func(s *stage) {
			s.ignore(ccmtest.BrokerSubscribe, "dev/rpc/#")
			s.begin()
			time.Sleep(time.Second)
		}},
		{"cloud: backing off", func(s *stage) {
			s.cloud.Refuse(3)
			s.begin()
			time.Sleep(30 * time.Second)
		}},
		{"cloud: swallowed", func(s *stage) {
			s.settle()
			s.cloud.Freeze(true)
			s.station.mcu.Print(s.t.Context(), pub("1", "t", "x", 1)+"\n")
			time.Sleep(time.Second)
		}},
		{"shadow: SUBSCRIBE unanswered", func(s *stage) {
			s.ignore(ccmtest.BrokerSubscribe, "$aws/things/dev/shadow/update/delta")
			s.begin()
			time.Sleep(time.Second)
		}},
		{"shadow: get unanswered", func(s *stage) {
			s.ignore(ccmtest.BrokerPublish, "$aws/things/dev/shadow/get")
			s.begin()
			time.Sleep(time.Second)
		}},
		{"shadow: update unanswered", func(s *stage) {
			s.settle()
			s.ignore(ccmtest.BrokerPublish, "$aws/things/dev/shadow/update")
			s.host().Report([]byte(`{"a":1}`))
			time.Sleep(time.Second)
		}},
		{"shadow: resting after an error", func(s *stage) {
			s.cloud.Deny("$aws/things/dev/shadow/update/delta")
			s.begin()
			time.Sleep(30 * time.Second)
		}},
		{"Exclusive", func(s *stage) {
			s.settle()
			s.work.Go(func() {
				err := s.host().Exclusive(context.Background(), func(ctx context.Context, port framing.Port) error {
					port.(*ccmtest.End).SetMode(uart.Mode8E1(115200))
					defer port.(*ccmtest.End).SetMode(uart.Mode8N1(115200))
					<-ctx.Done()
					return ctx.Err()
				})
				if !errors.Is(err, context.Canceled) {
					s.t.Errorf("Exclusive: %v", err)
				}
			})
			time.Sleep(time.Second)
			s.state(ccm.HostTaken)
		}},
		{"Exclusive, port opening", func(s *stage) {
			s.cfg.Hosts[0].Open = func(ctx context.Context) (framing.Port, error) { <-ctx.Done(); return nil, ctx.Err() }
			s.begin()
			s.work.Go(func() {
				if err := s.host().Exclusive(context.Background(), nil); err == nil {
					s.t.Error("Exclusive: no error")
				}
			})
			time.Sleep(time.Second)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				tt.reach(s)
				s.cancel()
				s.again()
			})
		})
	}
}
