package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// TestRow14: a host that never comes back is reset exactly as often as is allowed
// an hour, and reported; never while somebody else has the port.
func TestRow14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		s := newStation(ccmtest.Line{Baud: 115200, HostBuffer: 256}, ccmtest.MCUOptions{})
		var resets atomic.Int64
		cfg := s.config("")
		cfg.Reset = func(context.Context) error { resets.Add(1); return nil }
		cfg.Watchdog = ccm.Watchdog{Interval: 10 * time.Second, Misses: 2, MaxResets: 2}
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}, Logger: log.logger()}, s)
		h := r.module.Host("")
		s.mcu.Hang(true)
		if err := h.Exclusive(t.Context(), func(context.Context, framing.Port) error { time.Sleep(time.Hour); return nil }); err != nil {
			t.Error(err)
		}
		if n := resets.Load(); n != 0 {
			t.Errorf("%d resets while somebody else had the port", n)
		}
		for hour := range int64(3) {
			time.Sleep(time.Hour)
			if n := resets.Load(); n != 2*(hour+1) || h.Status().State != ccm.HostHung {
				t.Errorf("%d resets in %d hours, host %v", n, hour+1, h.Status().State)
			}
		}
		log.want(t, "level=WARN", "host does not answer and is reset")
		log.want(t, "host hung")
		if n := r.module.Stats().Hung; n < 6 {
			t.Errorf("found hung %d times", n)
		}
		s.mcu.Hang(false)
		s.mcu.Notify(t.Context(), "Hello", "")
		time.Sleep(15 * time.Second) // the look that goes on takes up to ten
		if got := h.Status().State; got != ccm.HostReady {
			t.Errorf("back again, but %v", got)
		}
		answers(t, h)
		for range 5 { // a host that answers with errors is alive
			time.Sleep(time.Hour)
		}
		if n := resets.Load(); n != 6 {
			t.Errorf("a good host was reset: %d", n)
		}
	})
}

// TestRow14Stuck: a host that takes nothing more, so that writing to it does not
// end, is reset and reported too, and is there again when it takes something.
func TestRow14Stuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
		var resets atomic.Int64
		cfg := s.config("")
		cfg.Reset = func(context.Context) error { resets.Add(1); return nil }
		cfg.Watchdog = ccm.Watchdog{Interval: 10 * time.Second, Misses: 2, MaxResets: 2}
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}}, s)
		h := r.module.Host("")
		s.uart.Module().Stall(true)
		for hour := range int64(3) {
			time.Sleep(time.Hour)
			if n := resets.Load(); n != 2*(hour+1) || h.Status().State != ccm.HostHung {
				t.Errorf("%d resets in %d hours, host %v", n, hour+1, h.Status().State)
			}
		}
		s.uart.Module().Stall(false)
		time.Sleep(15 * time.Second)
		if got := h.Status().State; got != ccm.HostReady {
			t.Errorf("back again, but %v", got)
		}
		answers(t, h)
	})
}

// TestRow15: whatever the cloud stops to answer, and for however long, the module
// works again within two minutes after that is over, and a message published
// meanwhile arrives.
func TestRow15(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(s *stage)
		early  bool // before the first connection
	}{
		{"TCP, at first", func(s *stage) { s.cloud.Freeze(true) }, true},
		{"refused, at first", func(s *stage) { s.cloud.Stop() }, true},
		{"CONNECT, at first", func(s *stage) { s.ignore(ccmtest.BrokerConnect, "") }, true},
		{"SUBSCRIBE, at first", func(s *stage) { s.ignore(ccmtest.BrokerSubscribe, "dev/rpc/#") }, true},
		{"SUBSCRIBE of the shadow", func(s *stage) { s.ignore(ccmtest.BrokerSubscribe, "$aws/things/dev/shadow/update/delta") }, true},
		{"get of the shadow", func(s *stage) { s.ignore(ccmtest.BrokerPublish, "$aws/things/dev/shadow/get") }, true},
		{"swallowed", func(s *stage) { s.cloud.Freeze(true) }, false},
		{"stopped", func(s *stage) { s.cloud.Stop() }, false},
		{"PUBLISH", func(s *stage) { s.ignore(ccmtest.BrokerPublish, "t") }, false},
		{"PUBACK", func(s *stage) { s.cloud.SetAcks(ccmtest.Ack{Drop: true}) }, false},
		{"not authorised", func(s *stage) { s.cloud.Refuse(5); s.cloud.Kick("dev") }, false},
		{"update of the shadow", func(s *stage) { s.ignore(ccmtest.BrokerPublish, "$aws/things/dev/shadow/update") }, false},
	} {
		for _, long := range []time.Duration{time.Minute, 10 * time.Hour} {
			t.Run(fmt.Sprint(tt.name, " for ", long), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t)
					s.station.mcu.HandleFunc("Echo", nothing)
					if tt.early {
						tt.damage(s)
						s.begin()
						found(t, s.host())
					} else {
						s.settle()
						tt.damage(s)
					}
					defer func() { s.rig.stop() }()
					s.station.mcu.Print(t.Context(), pub("", "t", "meanwhile", 1)+"\n")
					s.station.mcu.Notify(t.Context(), "Shadow.Report", `{"meanwhile":1}`)
					time.Sleep(long)
					answers(t, s.host()) // the host is served all the time
					s.mend()
					s.cloud.Start()
					time.Sleep(2 * time.Minute)
					if got := s.cloud.Messages("t"); len(got) == 0 || string(got[len(got)-1].Payload) != "meanwhile" {
						t.Errorf("the broker got %+v", got)
					}
					if st := s.rig.module.Stats().Outbox; st.Len != 0 {
						t.Errorf("%+v", st)
					}
					set(t, s.cloud, "dev", `{"after":1}`)
					time.Sleep(time.Second)
					if got := s.mcu().State(); got != `{"after":1}` {
						t.Errorf("the host has %s", got)
					}
					if got := mjson.GetInt([]byte(s.cloud.Shadow("dev").Reported), "$.meanwhile", 0); got != 1 {
						t.Errorf("shadow %+v", s.cloud.Shadow("dev"))
					}
					if !s.rig.module.Status().Cloud.Connected {
						t.Error("not connected")
					}
				})
			})
		}
	}
}

// mcu is the host's end.
func (s *stage) mcu() *ccmtest.MCU { return s.station.mcu }

// TestRow16 pulls the adapter while messages are on their way to the host and from
// it. Those that came from the broker arrive all the same, in order, if the
// adapter is back soon. (TestLinkReopens looks at the time that it takes.)
func TestRow16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		s := newStation(ccmtest.Line{Baud: 9600}, ccmtest.MCUOptions{Report: ccmtest.ReportNone})
		s.mcu.HandleFunc("MQTT.Message", nothing)
		var opens atomic.Int64
		cfg := s.config("")
		cfg.Open = func(ctx context.Context) (framing.Port, error) { opens.Add(1); return s.uart.OpenModule(ctx) }
		r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{cfg}, Cloud: via(b)}, s)
		if _, err := s.mcu.Call(t.Context(), "MQTT.Sub", `{"topic":"t"}`); err != nil {
			t.Error(err)
		}
		n := 0
		const cycles = 20
		for range cycles {
			for range 5 {
				publish(t, b, "t", fmt.Sprint(n))
				n++
			}
			time.Sleep(150 * time.Millisecond) // in the middle of them
			s.uart.Module().Unplug()
			time.Sleep(time.Second)
			s.uart.Module().Plug()
			found(t, r.module.Host(""))
			time.Sleep(5 * time.Second)
		}
		next, doubles := 0, 0
		for _, c := range s.mcu.Calls() {
			text, _ := mjson.Find([]byte(c.Params), "$.message").Text()
			switch text {
			case fmt.Sprint(next):
				next++
			case fmt.Sprint(next - 1): // written whole, but the module could not know
				doubles++
			default:
				t.Fatalf("message %q after %d", text, next-1)
			}
		}
		if next != n || doubles > cycles {
			t.Errorf("%d of %d messages came, %d twice", next, n, doubles)
		}
		if got := opens.Load(); got > 10*cycles {
			t.Errorf("the port was tried %d times", got)
		}
		if st := r.module.Stats(); st.Undelivered != 0 || st.Delivered != uint64(n) {
			t.Errorf("%+v", st)
		}
	})
}

// TestRow18: two programs want the same port. The second one says why it does not
// get it, and does when the first one has gone.
func TestRow18(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
		first := start(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}})
		defer first.stop()
		host := sync.WaitGroup{}
		defer host.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		host.Go(func() { s.mcu.Run(ctx, s.uart.Host()) })
		found(t, first.module.Host(""))
		log := new(logbook)
		second := start(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}, Logger: log.logger()})
		defer second.stop()
		time.Sleep(time.Minute)
		log.want(t, "level=WARN", "the port of the host", uart.ErrBusy.Error())
		if n := log.count("level=WARN"); n != 1 {
			t.Errorf("said %d times", n)
		}
		if got := second.module.Host("").Status().State; got != ccm.HostDown {
			t.Errorf("the second has the host too: %v", got)
		}
		answers(t, first.module.Host(""))
		first.stop()
		found(t, second.module.Host(""))
		answers(t, second.module.Host(""))
	})
}

// TestRunTwice: a module runs once.
func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := up(t, ccm.Config{})
		synctest.Wait()
		if err := r.module.Run(t.Context()); err == nil {
			t.Error("a second Run")
		}
		if err := r.module.Publish(t.Context(), "t", 0, nil); !errors.Is(err, ccm.ErrNoCloud) {
			t.Errorf("Publish: %v", err)
		}
		if r.module.Host("") != nil || len(r.module.Hosts()) != 0 || r.module.ID() != "ccm" {
			t.Error("the zero module has a host")
		}
	})
}

// TestConfigKept: New leaves the configuration as it is.
func TestConfigKept(t *testing.T) {
	cfg := ccm.Config{Hosts: []ccm.HostConfig{newStation(ccmtest.Line{}, ccmtest.MCUOptions{}).config("")}}
	if _, err := ccm.New(cfg); err != nil || cfg.Hosts[0].Queue != 0 {
		t.Errorf("%v; the queue of the host is %d", err, cfg.Hosts[0].Queue)
	}
}
