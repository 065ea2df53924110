package jsonrpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// manualRows are the manual's frames with the answers of the 2018 library. The
// last two members of Sys.Info and the list depend on the application.
var manualRows = []struct{ in, out string }{
	{`{"id": 12007, "method": "Sum", "params": [2,3]}`, `{"id":12007,"result":5}`},
	{`{"id": 12008, "method": "This_Function_Does_Not_Exist", "params": true}`,
		`{"id":12008,"error":{"code":-32601,"message":"method not found"}}`},
	{`{"method": "Shadow.Delta", "params": {"on": true}}`, ``},
	{`{"method": "Shadow.Report", "params": {"on": true, "uptime": 132}}`, ``},
	{`{"method": "MQTT.Pub", "params": {"topic": "t1", "message": "hello", "qos": 1}}`, ``},
	{`{"method":"MQTT.Sub","params":{"topic":"t/#"}}`, ``},
	{`{"id": 1, "method": "RPC.List"}`,
		`{"id":1,"result":["Config.Save","Config.Set","MQTT.Sub","MQTT.Pub","Shadow.Report","Sum","Shadow.Delta","RPC.List","Sys.Info"]}`},
	{`{"id":1,"method": "Sys.Info"}`,
		`{"id":1,"result":{"fw_version":"1.0", "arch":"unknown_arch", "fw_id":"Nov 24 2018 09:10:27", "app":"unknown_app"}}`},
	{`{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"sta":{"enable":true,"ssid":"NAME","pass":"PASS"}}}}}`,
		`{"id":1,"result":null}`},
	{`{"id":2,"method":"Config.Save","params":{"reboot":true}}`, `{"id":2,"result":null}`},
}

// manualHandlers registers what the manual's frames call, and logs the calls
// with what they read.
func manualHandlers(m *jsonrpc.Mux, log func(string)) {
	m.HandleFunc("Shadow.Delta", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		on, is := r.Param("on").Bool()
		log("delta " + string(r.Params()))
		if !is || !on {
			w.Fail(jsonrpc.ErrInvalidParams)
		}
		w.Result(nil)
	})
	m.HandleFunc("Sum", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		a, _ := r.Arg(0).Number()
		b, _ := r.Arg(1).Number()
		log("sum " + string(r.Params()))
		w.Resultf("%g", a+b)
	})
	for _, name := range []string{"Shadow.Report", "MQTT.Pub", "MQTT.Sub", "Config.Set", "Config.Save"} {
		m.HandleFunc(name, func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			log(string(r.Method()) + " " + string(r.Params()))
			w.Result(nil)
		})
	}
}

var manualLog = []string{
	`sum [2,3]`, `delta {"on": true}`, `Shadow.Report {"on": true, "uptime": 132}`,
	`MQTT.Pub {"topic": "t1", "message": "hello", "qos": 1}`, `MQTT.Sub {"topic":"t/#"}`,
	`Config.Set {"config":{"wifi":{"sta":{"enable":true,"ssid":"NAME","pass":"PASS"}}}}`,
	`Config.Save {"reboot":true}`,
}

func TestManualFrames(t *testing.T) {
	info := jsonrpc.SysInfo{FWVersion: "1.0", FWID: "Nov 24 2018 09:10:27"}
	t.Run("Engine", func(t *testing.T) {
		var log []string
		e := jsonrpc.NewCCMEngine(info)
		manualHandlers(&e.Mux, func(s string) { log = append(log, s) })
		for _, r := range manualRows {
			want := r.out
			if want != "" {
				want += "\n"
			}
			if got := e.Process(t.Context(), nil, []byte(r.in)); string(got) != want {
				t.Errorf("%s\n got %q\nwant %q", r.in, got, want)
			}
			if got := e.ProcessBytes(t.Context(), nil, []byte(r.in+"\r\n")); string(got) != want {
				t.Errorf("%s by bytes\n got %q\nwant %q", r.in, got, want)
			}
		}
		if want := doubled(manualLog); !slices.Equal(log, want) {
			t.Errorf("calls %q, want %q", log, want)
		}
	})
	t.Run("Conn", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log []string
			mux := &jsonrpc.Mux{}
			mux.Handle("Sys.Info", jsonrpc.InfoHandler(info))
			mux.Handle("RPC.List", jsonrpc.ListHandler(mux))
			manualHandlers(mux, func(s string) { log = append(log, s) })
			b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
			for _, r := range manualRows {
				b.send(r.in + "\n")
				if r.out == "" {
					b.want(r.in)
				} else {
					b.want(r.in, r.out)
				}
			}
			b.close()
			if !slices.Equal(log, manualLog) {
				t.Errorf("calls %q, want %q", log, manualLog)
			}
		})
	})
	t.Run("Callf", func(t *testing.T) {
		e := jsonrpc.NewCCMEngine(info)
		for _, c := range []struct {
			want, format string
			args         []any
		}{
			{`{"method":"Shadow.Report","params":{"on":true}}`, `{"method":"Shadow.Report","params":{%Q:%s}}`, []any{"on", "true"}},
			{`{"method":"MQTT.Pub","params":{"topic":"t1","message":"hello","qos":1}}`,
				`{"method":"MQTT.Pub","params":{%Q:%Q,%Q:%Q,%Q:%d}}`, []any{"topic", "t1", "message", "hello", "qos", 1}},
			{`{"method":"MQTT.Sub","params":{"topic":"t\/#"}}`, `{"method":"MQTT.Sub","params":{%Q:%Q}}`, []any{"topic", "t/#"}},
		} {
			got, err := e.Callf([]byte("> "), c.format, c.args...)
			if err != nil || string(got) != "> "+c.want+"\n" {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			var m jsonrpc.Message
			if err := jsonrpc.Parse([]byte(strings.TrimPrefix(string(got), "> ")), &m); err != nil || m.Kind() != jsonrpc.KindNotification {
				t.Errorf("%q: %v, %v", got, m.Kind(), err)
			}
		}
		if got, err := e.Callf(nil, "%d", "x"); err == nil {
			t.Errorf("%%d of a string: %q without an error", got)
		}
	})
}

func doubled(list []string) (out []string) {
	for _, s := range list {
		out = append(out, s, s)
	}
	return out
}

// frameRow is a row of frames.jsonl.
type frameRow struct {
	Name   string
	Frame  *string
	B64    []byte `json:"frame_b64"`
	Expect struct {
		Called        []*string
		Reply         []string
		Codes         []int
		Result        *string
		MaxReplyBytes int `json:"max_reply_bytes"`
	}
}

func (r frameRow) text() string {
	if r.Frame != nil {
		return *r.Frame
	}
	return string(r.B64)
}

// TestU1VectorsFrames: every frame of the vectors, on a connection of its own
// and then all of them on one. The probe is answered after each.
func TestU1VectorsFrames(t *testing.T) {
	var rows []frameRow
	vectors.Each(t, "bad/json/frames*.jsonl", 1, func(t *testing.T, row frameRow) {
		rows = append(rows, row)
		synctest.Test(t, func(t *testing.T) { runFrameRows(t, []frameRow{row}) })
	})
	t.Run("one session", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { runFrameRows(t, rows) })
	})
}

func runFrameRows(t *testing.T, rows []frameRow) {
	called := "__drop__"
	mux := sumMux()
	spy := jsonrpc.HandlerFunc(func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		if h, _ := mux.Lookup(r.Method()); h != nil {
			if called != "__drop__" {
				t.Errorf("called again: %s", r.Method())
			}
			called = string(r.Method())
		}
		mux.ServeRPC(ctx, w, r)
	})
	b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: spy})
	for _, row := range rows {
		called = "__drop__"
		b.send(row.text() + "\n")
		lines := b.lines()
		if !slices.ContainsFunc(row.Expect.Called, func(want *string) bool {
			return want == nil && called == "__drop__" || want != nil && *want == called
		}) {
			t.Errorf("%s: called %s", row.Name, called)
		}
		checkFrameReply(t, row, lines)
		called = "__drop__"
		b.probe(row.Name)
	}
	b.close()
}

func checkFrameReply(t *testing.T, row frameRow, lines []string) {
	outcome := "none"
	switch len(lines) {
	case 0:
	case 1:
		r := decodeReply(t, lines[0])
		outcome = "result"
		if r.Error != nil {
			outcome = "error"
			if !slices.Contains(row.Expect.Codes, r.Error.Code) {
				t.Errorf("%s: code %d", row.Name, r.Error.Code)
			}
		} else if row.Expect.Result != nil && string(r.Result) != *row.Expect.Result {
			t.Errorf("%s: result %s, want %s", row.Name, r.Result, *row.Expect.Result)
		}
		if !strings.Contains(row.text(), `"id":`+string(r.ID)) {
			t.Errorf("%s: the reply has the id %s", row.Name, r.ID)
		}
	default:
		t.Errorf("%s: %d replies: %q", row.Name, len(lines), lines)
		return
	}
	if !slices.Contains(row.Expect.Reply, outcome) {
		t.Errorf("%s: reply %s %q, want %q", row.Name, outcome, lines, row.Expect.Reply)
	}
	if len(lines) == 1 && len(lines[0]) > row.Expect.MaxReplyBytes {
		t.Errorf("%s: the reply has %d bytes", row.Name, len(lines[0]))
	}
}
