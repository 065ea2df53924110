package host_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/leakcheck"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// module is the other end of a host: it logs the frames it gets and answers
// whatever it is asked.
type module struct {
	*jsonrpc.Conn
	mu  sync.Mutex
	log []string
}

// frames returns what came since the last call, with the ids of calls taken
// out.
func (m *module) frames() []string {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.log
	m.log = nil
	for i, f := range log {
		if strings.HasPrefix(f, `{"id":`) {
			_, rest, _ := strings.Cut(f, ",")
			log[i] = "{" + rest
		}
	}
	return log
}

// attach runs h against a module. The function it returns ends both and gives
// Run's error.
func attach(t *testing.T, h *host.Host, handler jsonrpc.Handler) (*module, func() error) {
	a, b := wire.Pair(nil)
	m := &module{}
	m.Conn = jsonrpc.NewConn(framing.NewConn(b, nil), &jsonrpc.ConnOptions{Handler: handler, Observer: func(e jsonrpc.Event) {
		if e.Kind == jsonrpc.EventReceived {
			m.mu.Lock()
			m.log = append(m.log, string(e.Frame))
			m.mu.Unlock()
		}
	}})
	ended := make(chan error, 1)
	var ends sync.WaitGroup
	ends.Go(func() { ended <- h.Run(t.Context(), a) })
	ends.Go(func() { m.Run(t.Context()) })
	return m, func() error {
		m.Close()
		ends.Wait()
		return <-ended
	}
}

// answers is a handler that answers every method with the same text.
func answers(text string) jsonrpc.Handler {
	return jsonrpc.HandlerFunc(func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Result([]byte(text)) })
}

func TestFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		m, end := attach(t, h, answers(`{"saved":true}`))
		ctx := t.Context()
		if got := m.frames(); !slices.Equal(got, []string{`{"method":"Sys.Init"}`}) {
			t.Errorf("at start: %q", got)
		}
		for _, s := range []struct {
			do   func() error
			want string
		}{
			{func() error { return h.Publish(ctx, "t1", []byte("hello"), 1) },
				`{"method":"MQTT.Pub","params":{"topic":"t1","message":"hello","qos":1}}`},
			{func() error { return h.Publish(ctx, "t/ä", []byte("a\"/\n\x01é"), 0) },
				`{"method":"MQTT.Pub","params":{"topic":"t/ä","message":"a\"/\n\u0001é","qos":0}}`},
			{func() error { return h.Subscribe(ctx, "t/#", 0, nil) },
				`{"method":"MQTT.Sub","params":{"topic":"t/#","qos":0}}`},
			{func() error { return h.Unsubscribe(ctx, "t/#") },
				`{"method":"MQTT.Unsub","params":{"topic":"t/#"}}`},
			{func() error { return h.Report(ctx, "{%Q:%B,%Q:%d}", "on", true, "uptime", 132) },
				`{"method":"Shadow.Report","params":{"on":true,"uptime":132}}`},
			{func() error {
				return h.ConfigSet(ctx, "{%Q:{%Q:{%Q:%B,%Q:%Q,%Q:%Q}}}", "wifi", "sta", "enable", true, "ssid", "NAME", "pass", "PASS")
			}, `{"method":"Config.Set","params":{"config":{"wifi":{"sta":{"enable":true,"ssid":"NAME","pass":"PASS"}}}}}`},
			{func() error { return h.ConfigSave(ctx, true) }, `{"method":"Config.Save","params":{"reboot":true}}`},
			{func() error {
				v, err := h.ConfigGet(ctx, nil, "wifi.sta")
				if string(v) != `{"saved":true}` {
					t.Errorf("ConfigGet = %s", v)
				}
				return err
			}, `{"method":"Config.Get","params":{"key":"wifi.sta"}}`},
			{func() error { _, err := h.ConfigGet(ctx, nil, ""); return err }, `{"method":"Config.Get"}`},
		} {
			if err := s.do(); err != nil {
				t.Errorf("%s: %v", s.want, err)
			}
			if got := m.frames(); !slices.Equal(got, []string{s.want}) {
				t.Errorf("got %q, want %q", got, s.want)
			}
		}
		if err := end(); !errors.Is(err, io.EOF) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		var got []string
		collect := func(name string) host.MessageFunc {
			return func(_ context.Context, topic string, payload []byte) {
				got = append(got, name+" "+topic+" "+string(payload))
			}
		}
		var inits atomic.Int32
		h.OnInit(func(context.Context) { inits.Add(1) })
		if err := h.Subscribe(t.Context(), "t/#", 1, collect("all")); err != nil {
			t.Errorf("before attaching: %v", err)
		}
		m, end := attach(t, h, answers("null"))
		if f := m.frames(); len(f) != 2 || f[1] != `{"method":"MQTT.Sub","params":{"topic":"t/#","qos":1}}` {
			t.Errorf("at start: %q", f)
		}
		if err := h.Subscribe(t.Context(), "t/+/x", 0, collect("x")); err != nil {
			t.Error(err)
		}
		for _, topic := range []string{"t", "t/1", "t/1/x", "u/1/x"} {
			m.Notify(t.Context(), "MQTT.Message", "{%Q:%Q,%Q:%Q}", "topic", topic, "message", "m/ü\n")
		}
		m.Notify(t.Context(), "MQTT.Message", "[1,2]") // not what it should be
		m.frames()
		want := []string{"all t m/ü\n", "all t/1 m/ü\n", "all t/1/x m/ü\n", "x t/1/x m/ü\n"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		m.Notify(t.Context(), "Sys.Init", "") // the module has started anew
		if f := m.frames(); len(f) != 2 || inits.Load() != 2 {
			t.Errorf("after Sys.Init: %q, %d calls of OnInit", f, inits.Load())
		}
		end()

		m, end = attach(t, h, answers("null")) // on another port
		if f := m.frames(); len(f) != 3 || inits.Load() != 3 {
			t.Errorf("on the next port: %q, %d calls of OnInit", f, inits.Load())
		}
		end()
	})
}

func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		h.OnDelta(func(ctx context.Context, delta []byte) {
			h.Report(ctx, "{%Q:%B}", "on", mjson.GetBool(delta, "$.on", false))
		})
		m, end := attach(t, h, nil)
		m.frames()
		m.Notify(t.Context(), "Shadow.Delta", "{%Q:%B}", "on", true)
		if f := m.frames(); !slices.Equal(f, []string{`{"method":"Shadow.Report","params":{"on":true}}`}) {
			t.Errorf("got %q", f)
		}
		end()
	})
}
