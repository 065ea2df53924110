package jsonrpc_test

import (
	"context"
	"net"
	"testing"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// plainMux answers without allocating.
func plainMux() *jsonrpc.Mux {
	m := &jsonrpc.Mux{}
	m.HandleFunc("Sum", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		a, _ := r.Arg(0).Int()
		b, _ := r.Arg(1).Int()
		w.Resultf("%d", a+b)
	})
	quiet := func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		r.Param("topic")
		w.Result(nil)
	}
	for _, name := range []string{"Shadow.Delta", "Shadow.Report", "MQTT.Pub", "MQTT.Sub", "RPC.List", "Config.Set", "Config.Save"} {
		m.HandleFunc(name, quiet)
	}
	m.Handle("Sys.Info", jsonrpc.InfoHandler(jsonrpc.SysInfo{FWVersion: "1.0", App: "a"}))
	return m
}

func noAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	f() // buffers grow on first use
	if n := testing.AllocsPerRun(200, f); n != 0 {
		t.Errorf("%s: %v allocations", what, n)
	}
}

func TestJ4AllocsParseServe(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	mux := plainMux()
	var m jsonrpc.Message
	dst := make([]byte, 0, 4096)
	frames := append([]string{`{"id":1,"m\u0065thod":"S\u0075m","params":[1,2,3,4,5,6,7,8,9,10]}`, `{"id":1,"result":5}`}, manualFrames...)
	for _, s := range frames {
		frame := []byte(s)
		noAllocs(t, "Parse and Serve of "+s, func() {
			if err := jsonrpc.Parse(frame, &m); err != nil {
				t.Fatal(err)
			}
			dst = jsonrpc.Serve(t.Context(), dst[:0], &m, mux)
			m.Arg(9)
			m.Param("nope")
		})
	}
}

func TestJ4AllocsEngine(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	for name, e := range map[string]*jsonrpc.Engine{"HEAD": jsonrpc.NewEngine(), "CCM": jsonrpc.NewCCMEngine(jsonrpc.SysInfo{})} {
		mux := plainMux()
		for _, method := range mux.Names() {
			if h, _ := mux.Lookup([]byte(method)); method != "Sys.Info" || name == "HEAD" {
				e.Handle(method, h)
			}
		}
		dst := make([]byte, 0, 4096)
		frames := append([]string{`garbage`, `{"id":1,"result":5}`, `{"id":3,"method":"Sum","params":[1`}, manualFrames...)
		for _, s := range frames {
			frame, line := []byte(s), []byte(s+"\n")
			noAllocs(t, name+": Process of "+s, func() { dst = e.Process(t.Context(), dst[:0], frame) })
			noAllocs(t, name+": ProcessBytes of "+s, func() { dst = e.ProcessBytes(t.Context(), dst[:0], line) })
		}
		noAllocs(t, name+": Callf", func() {
			dst, _ = e.Callf(dst[:0], `{"method":"MQTT.Pub","params":{%Q:%Q,%Q:%Q,%Q:%d}}`, "topic", "t1", "message", "hello", "qos", 1)
		})
	}
}

func TestJ4AllocsAppend(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	dst := make([]byte, 0, 4096)
	id, raw := []byte("1"), []byte("[1,2]")
	noAllocs(t, "AppendRequest", func() { dst = jsonrpc.AppendRequest(dst[:0], id, "Sum", raw) })
	noAllocs(t, "AppendNotification", func() { dst = jsonrpc.AppendNotification(dst[:0], "Sum", raw) })
	noAllocs(t, "AppendResult", func() { dst = jsonrpc.AppendResult(dst[:0], id, raw) })
	noAllocs(t, "AppendError", func() { dst = jsonrpc.AppendError(dst[:0], id, -32601, "method not found", raw) })
}

// TestJ4AllocsConn counts the allocations of all goroutines of both ends.
func TestJ4AllocsConn(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	portA, portB := net.Pipe()
	a := jsonrpc.NewConn(framing.NewConn(portA, nil), nil)
	b := jsonrpc.NewConn(framing.NewConn(portB, nil), &jsonrpc.ConnOptions{Handler: plainMux()})
	ended := make(chan error, 2)
	for _, c := range []*jsonrpc.Conn{a, b} {
		go func() { ended <- c.Run(context.Background()) }()
	}
	defer func() { a.Close(); b.Close(); <-ended; <-ended }()
	dst := make([]byte, 0, 4096)
	for range 100 { // every buffer of the reply cache must have grown
		a.Call(t.Context(), dst[:0], "Config.Set", `{%Q:%s}`, "config", `{"wifi":{"sta":{"enable":true,"ssid":"NAME","pass":"PASS"}}}`)
	}
	for _, c := range []struct {
		what string
		f    func() error
	}{
		{"Call", func() (err error) { dst, err = a.Call(t.Context(), dst[:0], "Sum", "[%d,%d]", 2, 3); return }},
		{"Call Sys.Info", func() (err error) { dst, err = a.Call(t.Context(), dst[:0], "Sys.Info", ""); return }},
		{"Call MQTT.Pub", func() (err error) {
			dst, err = a.Call(t.Context(), dst[:0], "MQTT.Pub", "{%Q:%Q,%Q:%Q,%Q:%d}", "topic", "t1", "message", "hello", "qos", 1)
			return
		}},
		{"Notify and Call", func() (err error) {
			if err = a.Notify(t.Context(), "Shadow.Report", "{%Q:%s}", "on", "true"); err == nil {
				dst, err = a.Call(t.Context(), dst[:0], "Sys.Info", "")
			}
			return
		}},
	} {
		noAllocs(t, c.what, func() {
			if err := c.f(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
