package ccm_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// TestBadHostNeverReads: a host takes nothing. Messages for it are given up after
// ten seconds, or at once when 128 wait already: counted, logged and acknowledged
// to the broker. When it takes something again, the link goes on.
func TestBadHostNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		b := newBroker(t, ccmtest.BrokerOptions{WritesPending: 1000})
		h := newHand(t, ccmtest.Line{Baud: 115200})
		r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(b), Logger: log.logger()})
		time.Sleep(time.Second)
		h.send(sub(1, "t") + "\n")
		time.Sleep(time.Second)
		h.want("subscribed", null(1))
		h.uart.Module().Stall(true)
		for i := range 200 {
			publish(t, b, "t", fmt.Sprint(i))
		}
		synctest.Wait()
		if st := r.module.Stats(); st.Arrived != 200 || st.Overflow != 200-128-1 || st.Undelivered != 0 {
			t.Errorf("at once: %+v", st)
		}
		if n := len(b.Events(ccmtest.BrokerPuback)); n != 200-128-1 {
			t.Errorf("at once: %d acknowledged", n)
		}
		log.want(t, "level=WARN", "the queue of the host is full", "topic=t")
		time.Sleep(11 * time.Second)
		if st := r.module.Stats(); st.Undelivered != 129 || st.Delivered != 0 || r.module.Host("").Status().Queued != 0 {
			t.Errorf("after ten seconds: %+v", st)
		}
		if n := len(b.Events(ccmtest.BrokerPuback)); n != 200 {
			t.Errorf("after ten seconds: %d acknowledged", n)
		}
		log.want(t, "level=WARN", "message not delivered", "topic=t")
		if n := log.count("level=WARN"); n > 6 {
			t.Errorf("%d warnings", n)
		}
		h.uart.Module().Stall(false)
		time.Sleep(time.Second)
		h.got()
		publish(t, b, "t", "last")
		time.Sleep(time.Second)
		h.want("it reads again", message("t", "last"))
	})
}

// TestBadHostNeverReadsDelta: a delta cannot be written. What the host reports gets
// to the cloud all the same, and the delta to the host when it reads again.
func TestBadHostNeverReadsDelta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Mirror: true, Report: ccmtest.ReportNone})
		r := lamp(t, c, s)
		s.uart.Module().Stall(true)
		set(t, c, "lamp", `{"on":true}`)
		time.Sleep(time.Second)
		s.mcu.Notify(t.Context(), "Shadow.Report", `{"stuck":1}`)
		time.Sleep(12 * time.Second)
		if got := c.Shadow("lamp").Reported; got != `{"stuck":1}` {
			t.Errorf("reported %s", got)
		}
		if st := r.module.Stats().Hosts[""].Shadow; st.Undelivered != 1 {
			t.Errorf("%+v", st)
		}
		s.uart.Module().Stall(false)
		time.Sleep(time.Minute)
		if got := c.Shadow("lamp"); got.Delta != "" || !s.mcu.On() {
			t.Errorf("%+v", got)
		}
	})
}

// TestBadHostNeverReadsLongDelta: of a delta of many frames all but the one that is
// being written is given up. It comes when the host reads again, whose session
// goes on and who reports nothing.
func TestBadHostNeverReadsLongDelta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		h := newHand(t, ccmtest.Line{Baud: 115200})
		r := up(t, ccm.Config{ID: "lamp", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
		time.Sleep(time.Second)
		h.got()
		h.uart.Module().Stall(true)
		set(t, c, "lamp", wideState(1500))
		time.Sleep(time.Hour)
		st := r.module.Stats()
		if s := st.Hosts[""].Shadow; s.Undelivered != 1 || s.Gets > 5 {
			t.Errorf("%+v", s)
		}
		h.uart.Module().Stall(false)
		time.Sleep(time.Minute)
		if all := strings.Join(h.got(), "\n"); !strings.Contains(all, `"last":1`) {
			t.Errorf("the host has got %s", all)
		}
		if s := r.module.Stats().Hosts[""]; s.Shadow.Delivered != 1 || s.Port.Opened != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestBadHostTakesNoAnswers: a host publishes more than it takes answers for. The
// connection to the cloud and the other hosts do not wait for it.
func TestBadHostTakesNoAnswers(t *testing.T) {
	for _, qos := range []int{0, 1} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t, ccmtest.BrokerOptions{WritesPending: 1000})
				bad, good := newHand(t, ccmtest.Line{Baud: 115200}), newHand(t, ccmtest.Line{})
				r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{bad.config("bad"), good.config("good")}, Cloud: via(b)})
				time.Sleep(time.Second)
				good.asks(sub(1, "t"), null(1))
				bad.uart.Module().Stall(true)
				for i := range 200 {
					bad.send(pub(fmt.Sprint(i), "x", "x", qos) + "\n")
				}
				time.Sleep(time.Second)
				if got := b.Messages("x"); len(got) != 200 {
					t.Errorf("%d messages of the bad host", len(got))
				}
				publish(t, b, "t", "hello")
				good.want("messages", message("t", "hello"))
				good.asks(pub("2", "y", "x", 1), null(2))
				bad.uart.Module().Stall(false)
				time.Sleep(5 * time.Second)
				if n := len(bad.got()); n != 200 {
					t.Errorf("%d answers at last", n)
				}
				if st := r.module.Stats(); st.Refused != 0 || st.Cloud.Lost != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// TestBadHostAway: the port is gone. Messages wait for ten seconds.
func TestBadHostAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		b := newBroker(t, ccmtest.BrokerOptions{})
		h := newHand(t, ccmtest.Line{})
		r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(b), Logger: log.logger()})
		h.asks(sub(1, "t"), null(1))
		h.uart.Module().Unplug()
		time.Sleep(time.Second)
		log.want(t, "level=WARN", "the port of the host", uart.ErrUnplugged.Error())
		log.want(t, "level=INFO", "host down")
		publish(t, b, "t", "early")
		time.Sleep(11 * time.Second)
		publish(t, b, "t", "late")
		time.Sleep(5 * time.Second)
		h.uart.Module().Plug()
		found(t, r.module.Host(""))
		time.Sleep(time.Second)
		h.want("it is back", message("t", "late"))
		if st := r.module.Stats(); st.Undelivered != 1 || st.Delivered != 1 {
			t.Errorf("%+v", st)
		}
		log.want(t, "level=WARN", "message not delivered", "topic=t", ccm.ErrHostDown.Error())
		if n := len(b.Events(ccmtest.BrokerPuback)); n != 2 {
			t.Errorf("%d acknowledged", n)
		}
	})
}

// TestBadHostErrors: a host of 2018 answers an error reply by a complaint that
// quotes it. That is known and goes no further; other complaints are logged.
func TestBadHostErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Report: ccmtest.ReportNone})
		s.mcu.HandleFunc("Fail", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			w.Error(-32042, "odd \"error\" / \n")
		})
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}, Logger: log.logger()}, s)
		h := r.module.Host("")
		for range 100 {
			s.mcu.Print(t.Context(), `{"id":1,"method":"No.Such.Method"}`+"\n")
			_, err := h.Call(t.Context(), nil, "Fail", "")
			if err == nil || !strings.Contains(err.Error(), "odd \"error\" / \n") {
				t.Errorf("Fail: %v", err)
			}
		}
		time.Sleep(time.Minute)
		st := h.Stats().Port.RPC
		if n := s.mcu.Stats().Complaints; n != 100 || st.Echoes != n || st.Complaints != 0 || st.Sent > 100+100+10 {
			t.Errorf("%d complaints, %+v", n, st)
		}
		if log.count("did not understand") != 0 {
			t.Error("echoes were logged")
		}
		for range 5 {
			s.mcu.Print(t.Context(), `{"error":{"code":-32700,"message":"{\"id\":1,\"meth"}}`+"\n")
			time.Sleep(time.Second)
		}
		log.want(t, "level=WARN", "the host did not understand a frame")
		if st := h.Stats().Port.RPC; st.Complaints != 5 || log.count("did not understand") != 1 {
			t.Errorf("%+v, logged %d times", st, log.count("did not understand"))
		}
		answers(t, h)
	})
}

// TestBadHostReboots: a host reboots in the middle of a frame, at every byte that
// it sends or receives. The next call works.
func TestBadHostReboots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		s := newStation(ccmtest.Line{Baud: 115200, Trace: -1}, ccmtest.MCUOptions{BootTime: 20 * time.Millisecond, BootText: "rst:0x10 {boot}\r\n"})
		r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{s.config("")}, Cloud: via(b)}, s)
		h := r.module.Host("")
		resets := uint64(0)
		for n := 1; n < 60; n++ {
			for _, sending := range []bool{false, true} {
				if sending {
					s.mcu.ResetAfter(0, n)
				} else {
					s.mcu.ResetAfter(n, 0)
				}
				s.mcu.Notify(t.Context(), "MQTT.Pub", `{"topic":"t","message":"%d","qos":1}`, n)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				h.Call(ctx, nil, "Sum", "[%d,%d]", n, n)
				cancel()
				s.mcu.ResetAfter(0, 0)
				time.Sleep(1100 * time.Millisecond)
				answers(t, h)
			}
		}
		resets = s.mcu.Stats().Resets
		if resets < 80 {
			t.Errorf("%d resets", resets)
		}
		for _, m := range b.Messages("t") {
			if len(m.Payload) == 0 || len(m.Payload) > 2 {
				t.Errorf("the broker got %q", m.Payload)
			}
		}
		t.Logf("%d resets, %+v", resets, h.Stats().Port)
	})
}

// TestBadHostFrames: what a host sends that is no frame, or too much of one, is
// counted and has no effect.
func TestBadHostFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b := handAndBroker(t, ccm.Config{})
		port := func() ccm.PortStats { return r.module.Host("").Stats().Port }
		for _, tt := range []struct {
			line, answer string
			counted      func(p ccm.PortStats) uint64
		}{
			{pub("", "t", strings.Repeat("x", 5000), 1), "", func(p ccm.PortStats) uint64 { return p.Line.Overlong }},
			{strings.Repeat("x", 100_000), "", func(p ccm.PortStats) uint64 { return p.Line.Overlong }},
			{`{"method":"MQTT.Pub","params":{"topic":"t","message":"` + "\xff" + `"}}`, "", func(p ccm.PortStats) uint64 { return p.RPC.Malformed }},
			{`{"method":"MQTT.Pub","params":{"topic":"t","message":"x"}}0badc0de`, "", func(p ccm.PortStats) uint64 { return p.Line.CRCErrors }},
			{`{"method":"MQTT.Pub","method":"MQTT.Sub","params":{"topic":"t","message":"x"}}`, "", func(p ccm.PortStats) uint64 { return p.RPC.Malformed }},
			{`{"id":[1],"method":"MQTT.Pub","params":{"topic":"t","message":"x"}}`, "", func(p ccm.PortStats) uint64 { return p.RPC.Malformed }},
			{`[` + pub("1", "t", "x", 1) + `]`, "", func(p ccm.PortStats) uint64 { return p.Line.Junk }},
			{`{"params":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `,"method":"MQTT.Pub"}`, "", func(p ccm.PortStats) uint64 { return p.RPC.Malformed }},
			{`{"id":5,"method":"MQTT.Pub","params":{"topic":"t","message":"x",}}`, `{"id":5,"error":{"code":-32700,`, func(p ccm.PortStats) uint64 { return p.RPC.Malformed }},
			{`{"id":6,"method":"` + strings.Repeat("M", 1000) + `"}`, `{"id":6,"error":{"code":-32601,"message":"method not found"}}`, func(p ccm.PortStats) uint64 { return p.RPC.Received }},
			{`{"id":7,"method":"MQTT.*"}`, `{"id":7,"error":{"code":-32601,`, func(p ccm.PortStats) uint64 { return p.RPC.Received }},
		} {
			before := tt.counted(port())
			got := h.ask(tt.line)
			if !strings.HasPrefix(got, tt.answer) || tt.answer == "" && got != "" {
				t.Errorf("%.80q answered %s", tt.line, got)
			}
			if tt.counted(port()) != before+1 {
				t.Errorf("%.80q not counted: %+v", tt.line, port())
			}
			h.asks(`{"id":1,"method":"RPC.Ping"}`, `{"id":1,"result":{"channel_info":"UART0"}}`)
		}
		if got := b.Messages("#"); len(got) != 0 {
			t.Errorf("the broker got %+v", got)
		}
	})
}

// TestBadHostInfo: what a host tells about itself may be nonsense.
func TestBadHostInfo(t *testing.T) {
	for _, info := range []string{
		`5`, `null`, `[]`, `{}`, `"text"`, `{"fw_version":1,"arch":[],"app":{}}`, `{"rx_max":-1}`, `{"rx_max":0}`, `{"rx_max":31}`,
		`{"rx_max":1e99}`, `{"rx_max":"4096"}`, `{"rx_max":99999999999}`, `{"boot":{}}`, `{"boot":` + strings.Repeat("1", 200) + `}`,
		`{"app":"` + strings.Repeat("x", 3000) + `"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHand(t, ccmtest.Line{})
			h.answer(func(line string) (string, bool) {
				if strings.Contains(line, `"Sys.Info"`) {
					id, _, _ := strings.Cut(strings.TrimPrefix(line, `{"id":`), ",")
					return `{"id":` + id + `,"result":` + info + `}`, true
				}
				return "", false
			})
			r := up(t, ccm.Config{Hosts: []ccm.HostConfig{h.config("")}})
			if st := r.module.Host("").Status(); st.State != ccm.HostReady || st.FrameLimit != 255 || !st.Info.SysInfo {
				t.Errorf("%.60s: %+v", info, st)
			}
			h.got()
			h.asks(`{"id":1,"method":"RPC.Ping"}`, `{"id":1,"result":{"channel_info":"UART0"}}`)
		})
	}
}
