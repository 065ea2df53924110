package ccm_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// TestWatchdogMisses: looks that were answered in between keep a host from being
// taken for hung.
func TestWatchdogMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		cfg := h.config("")
		cfg.Reset = func(context.Context) error { t.Error("reset"); return nil }
		cfg.Watchdog = ccm.Watchdog{Interval: 10 * time.Second, Misses: 3}
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
		var looks atomic.Int64
		h.answer(func(string) (string, bool) { return "", looks.Add(1)%3 != 0 })
		time.Sleep(10 * time.Minute)
		if n := r.module.Stats().Hung; n != 0 {
			t.Errorf("found hung %d times", n)
		}
	})
}

// TestWatchdogSession: a look that finds another start of the host begins a new
// session, in which an id means another request.
func TestWatchdogSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		var boot atomic.Int64
		h.answer(func(line string) (string, bool) {
			id, is := strings.CutSuffix(line, `,"method":"Sys.Info"}`)
			return fmt.Sprintf(`%s,"result":{"boot":%d}}`, id, boot.Load()), is
		})
		cfg := h.config("")
		cfg.Watchdog.Interval = 2 * time.Second
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
		var n atomic.Int64
		r.module.HandleFunc("Count", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Resultf("%ld", n.Add(1)) })
		h.asks(`{"id":1,"method":"Count"}`, `{"id":1,"result":1}`)
		h.asks(`{"id":1,"method":"Count"}`, `{"id":1,"result":1}`)
		boot.Add(1)
		time.Sleep(4 * time.Second)
		h.asks(`{"id":1,"method":"Count"}`, `{"id":1,"result":2}`)
	})
}

// TestResetSilent: a host that has spoken before a reset and does not after it is
// opaque.
func TestResetSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		cfg := h.config("")
		cfg.Reset = func(context.Context) error { return nil }
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
		dev := r.module.Host("")
		h.answer(func(string) (string, bool) { return "", true })
		if err := dev.Reset(t.Context()); err != nil {
			t.Error(err)
		}
		found(t, dev)
		if got := dev.Status().State; got != ccm.HostOpaque {
			t.Errorf("the host is %v", got)
		}
	})
}

// TestOpaqueDelta: a host that answers nothing gets what differs all the same.
func TestOpaqueDelta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		set(t, c, "lamp", `{"on":true}`)
		h := newHand(t, ccmtest.Line{})
		h.answer(func(line string) (string, bool) { return "", !strings.Contains(line, "Shadow.Delta") })
		up(t, ccm.Config{ID: "lamp", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
		time.Sleep(10 * time.Second)
		h.got()
		h.uart.Module().Unplug()
		set(t, c, "lamp", `{"on":false}`)
		time.Sleep(time.Second)
		h.uart.Module().Plug()
		time.Sleep(10 * time.Second)
		h.want("delta", `{"method":"Shadow.Delta","params":{"on":false}}`)
	})
}

// TestUnsubOwn: a host that ends its subscription to what the module has subscribed
// to ends only its own.
func TestUnsubOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, _, c := calledModule(t, ccm.Config{})
		h.asks(sub(1, "dev/rpc/#"), null(1))
		h.asks(`{"id":2,"method":"MQTT.Unsub","params":{"topic":"dev/rpc/#"}}`, null(2))
		c.asks(call("3", "RPC.Ping", ""), `{"id":3,"result":{"channel_info":""}}`)
	})
}

// TestSubTooMany: what exceeds the bound of the connection is refused, and nobody
// is subscribed.
func TestSubTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		one, two := newHand(t, ccmtest.Line{}), newHand(t, ccmtest.Line{})
		cfg := ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{one.config("a"), two.config("b")}, Cloud: via(b), NoCloudRPC: true}
		cfg.Cloud.MaxSubscriptions = 1
		up(t, cfg)
		one.asks(sub(1, "t"), null(1))
		two.asks(sub(1, "u"), `{"id":1,"error":{"code":429,"message":"too many subscriptions"}}`)
		one.asks(`{"id":2,"method":"MQTT.Unsub","params":{"topic":"t"}}`, null(2))
		one.asks(sub(3, "u"), null(3))
		publish(t, b, "u", "x")
		one.want("messages", message("u", "x"))
		two.want("no subscription")
	})
}

// TestPortComplains: the same failure of a port is logged anew when the port has
// worked in between.
func TestPortComplains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		s := newStation(ccmtest.Line{}, ccmtest.MCUOptions{})
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}, Logger: log.logger()}, s)
		for n := 1; n <= 3; n++ {
			time.Sleep(time.Minute)
			s.uart.Module().Unplug()
			time.Sleep(50 * time.Millisecond) // not long enough for another failure
			if got := log.count("level=WARN", "port of the host"); got != n {
				t.Errorf("unplugged %d times, logged %d times", n, got)
			}
			s.uart.Module().Plug()
			found(t, r.module.Host(""))
		}
	})
}

// TestComplaints: what a record of the log leaves out is counted in the next.
func TestComplaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		_, h, b := handAndBroker(t, ccm.Config{Logger: log.logger()})
		h.asks(sub(1, "t"), null(1))
		for range 5 {
			publish(t, b, "t", "\xff")
		}
		time.Sleep(11 * time.Second)
		publish(t, b, "t", "\xff")
		synctest.Wait()
		log.want(t, "not UTF-8", "more=4")
		if n := log.count("not UTF-8"); n != 2 {
			t.Errorf("logged %d times", n)
		}
	})
}
