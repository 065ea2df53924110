package ccmtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// bench is an MCU with the bare end of the line in the test's hand.
type bench struct {
	t    *testing.T
	line *ccmtest.UART
	mcu  *ccmtest.MCU
}

// newBench powers an MCU up on a line without pacing unless l says otherwise.
func newBench(t *testing.T, l ccmtest.Line, o ccmtest.MCUOptions) *bench {
	b := &bench{t: t, line: ccmtest.NewUART(l), mcu: ccmtest.NewMCU(o)}
	go b.mcu.Run(t.Context(), b.line.Host())
	return b
}

// out returns all that the host has sent so far.
func (b *bench) out() string {
	b.t.Helper()
	synctest.Wait()
	var all []byte
	for {
		p := make([]byte, 4096)
		b.line.Module().SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := b.line.Module().Read(p)
		if err != nil {
			return string(all)
		}
		all = append(all, p[:n]...)
	}
}

// ask sends text and returns what comes back.
func (b *bench) ask(text string) string {
	b.t.Helper()
	if _, err := b.line.Module().Write([]byte(text)); err != nil {
		b.t.Fatal(err)
	}
	return b.out()
}

// want checks a conversation.
func (b *bench) want(in, out string) {
	b.t.Helper()
	if got := b.ask(in); got != out {
		b.t.Errorf("%s: in %q\n got %q\nwant %q", b.mcu.Generation(), in, got, out)
	}
}

// complaint is the answer of a stock host to a line that it does not understand.
func complaint(line string) string {
	return string(append(mjson.AppendQuote([]byte(`{"error":{"code":-32700,"message":`), line), "}}\n"...))
}

// each runs a test in a bubble for each stock generation.
func each(t *testing.T, f func(t *testing.T, g ccmtest.Generation)) {
	for _, g := range ccmtest.Generations() {
		t.Run(g.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, g) })
		})
	}
}

// TestGenerations: the rows of the table of host generations.
func TestGenerations(t *testing.T) {
	type g = ccmtest.Generation
	notFound := `{"id":1,"error":{"code":-32601,"message":"method not found"}}` + "\n"
	info := `{"id":1,"result":{"fw_version":"1.0", "arch":"unknown_arch", "fw_id":"Nov 24 2018 09:10:27", "app":"unknown_app"}}` + "\n"
	const truncated = `{"id":3,"method":"Sum","params":[2,3`
	const failed = `{"id":9,"error":{"code":-1,"message":"x"}}`
	executed := `{"id":3,"result":0}` + "\n"
	all := func(s string) map[g]string {
		return map[g]string{ccmtest.Gen2018: s, ccmtest.Gen2019: s, ccmtest.Gen2020: s, ccmtest.GenHead: s}
	}
	byAge := func(old, young string) map[g]string {
		return map[g]string{ccmtest.Gen2018: old, ccmtest.Gen2019: old, ccmtest.Gen2020: young, ccmtest.GenHead: young}
	}
	oldest := func(first, rest string) map[g]string {
		return map[g]string{ccmtest.Gen2018: first, ccmtest.Gen2019: rest, ccmtest.Gen2020: rest, ccmtest.GenHead: rest}
	}
	for _, row := range []struct {
		name, in string
		want     map[g]string
	}{
		{"Sum", `{"id": 12007, "method": "Sum", "params": [2,3]}`, all(`{"id":12007,"result":5}` + "\n")},
		{"unknown method", `{"id":1,"method":"Nope"}`, all(notFound)},
		{"Sys.Info", `{"id":1,"method":"Sys.Info"}`, oldest(info, notFound)},
		{"RPC.List", `{"id":1,"method":"RPC.List"}`, map[g]string{
			ccmtest.Gen2018: `{"id":1,"result":["Shadow.Delta","Sum","RPC.List","Sys.Info"]}` + "\n",
			ccmtest.Gen2019: `{"id":1,"result":["Shadow.Delta","Sum","RPC.List"]}` + "\n",
			ccmtest.Gen2020: notFound, ccmtest.GenHead: notFound,
		}},
		{"rpc.list", `{"id":1,"method":"rpc.list"}`, byAge(notFound, `{"id":1,"result":["Shadow.Delta","Sum","rpc.list"]}`+"\n")},
		{"truncated request", truncated, byAge(complaint(truncated), executed)},
		{"error with id", failed, byAge(complaint(failed), "")},
		{"error without id", failed[:1] + failed[8:], byAge(complaint(failed[:1]+failed[8:]), "")},
		{"result", `{"id":9,"result":1}`, all("")},
		{"two objects", `{"id":3,"method":"Sum"}{"id":4,"method":"Sum"}`, all(executed)},
		{"batch", `[{"id":3,"method":"Sum"}]`, all(complaint(`[{"id":3,"method":"Sum"}]`))},
		{"null id", `{"id":null,"method":"Sum"}`, all(`{"id":null,"result":0}` + "\n")},
		{"object id", `{"id":{"a":1},"method":"Sum"}`, all(`{"id":{"a":1},"result":0}` + "\n")},
		{"string id", `{"id":"abc","method":"Sum"}`, all(`{"id":"abc","result":0}` + "\n")},
		{"escaped method", `{"id":1,"method":"Su\u006d"}`, byAge(complaint(`{"id":1,"method":"Su\u006d"}`), notFound)},
		{"empty line", "", all("")},
		{"CR only", "\r", all("")},
		{"text", "hello", all(complaint("hello"))},
		{"slash in a quote", "a/b", oldest(`{"error":{"code":-32700,"message":"a\/b"}}`+"\n", complaint("a/b"))},
		{"CRLF", `{"id":3,"method":"Sum"}` + "\r", all(executed)},
		{"notification", `{"method":"Sum","params":[1,2]}`, all("")},
		{"unknown notification", `{"method":"Nope"}`, all("")},
		{"CRC suffix", `{"id":3,"method":"Sum"}deadbeef`, all(executed)},
		{"CRC member", `{"id":3,"method":"Sum","crc":"0000:12345678"}`, all(executed)},
		{"pattern in a method", `{"id":1,"method":"S*"}`, all(notFound)},
		{"delta", `{"method":"Shadow.Delta","params":{"on":true}}`,
			all(`{"method":"Shadow.Report","params":{"on":true,"uptime":0}}` + "\n")},
		{"delta with id", `{"id":7,"method":"Shadow.Delta","params":{"on":true}}`,
			all(`{"method":"Shadow.Report","params":{"on":true,"uptime":0}}` + "\n" + `{"id":7,"result":null}` + "\n")},
	} {
		t.Run(row.name, func(t *testing.T) {
			each(t, func(t *testing.T, g ccmtest.Generation) {
				b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{Generation: g, Report: ccmtest.ReportNone})
				b.want(row.in+"\n", row.want[g])
				b.want(`{"id":5,"method":"Sum","params":[4,5]}`+"\n", `{"id":5,"result":9}`+"\n") // still alive
			})
		})
	}
}

// TestBuffer: lines as long as the buffer and longer.
func TestBuffer(t *testing.T) {
	each(t, func(t *testing.T, g ccmtest.Generation) {
		b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{Generation: g, Report: ccmtest.ReportNone})
		size := 256
		if g == ccmtest.GenHead {
			size = 1024
		}
		request := func(n int) string {
			const head, tail = `{"id":3,"method":"Sum","params":[2,3]`, `}`
			return head + strings.Repeat(" ", n-len(head)-len(tail)) + tail + "\n"
		}
		for _, row := range []struct {
			n    int
			want string
		}{
			{size - 1, `{"id":3,"result":5}` + "\n"},
			{size, ""},
			{size + 1, ""},
			{size + 2, complaint(" }")},
			{size + 3, complaint("  }")},
			{2 * size, ""},
			{2*size + 2, complaint(" }")},
		} {
			if got := b.ask(request(row.n)); got != row.want {
				t.Errorf("%d bytes: got %q, want %q", row.n, got, row.want)
			}
		}
		if s := b.mcu.Stats(); s.Wraps != 8 || s.Complaints != 3 || s.Lines != 7 {
			t.Errorf("%+v", s)
		}
		if own := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{Generation: g, Buffer: 64, Report: ccmtest.ReportNone}); own.ask(request(63)) == "" ||
			own.ask(request(64)) != "" {
			t.Error("a buffer of 64 bytes does not take lines of 63")
		}
	})
}

// TestText: what a sketch reads from strings with escapes.
func TestText(t *testing.T) {
	for _, row := range []struct {
		in   string
		want map[ccmtest.Generation]string
	}{
		{`"plain \"q\" \\ \b\f\n\r\t"`, map[ccmtest.Generation]string{-1: "plain \"q\" \\ \b\f\n\r\t"}},
		{`"hé"`, map[ccmtest.Generation]string{-1: "hé"}},
		{`"h\u00e9llo"`, map[ccmtest.Generation]string{-1: "h", ccmtest.GenHead: "h\xe9llo", ccmtest.GenModern: "héllo"}},
		{`"<b>&\u003cx"`, map[ccmtest.Generation]string{-1: "<b>&", ccmtest.GenHead: "<b>&<x", ccmtest.GenModern: "<b>&<x"}},
		{`"x\u20acy"`, map[ccmtest.Generation]string{-1: "x", ccmtest.GenModern: "x€y"}},
		{`"x\u0000y"`, map[ccmtest.Generation]string{-1: "x", ccmtest.GenModern: "x\x00y"}},
		{`"a\/b"`, map[ccmtest.Generation]string{-1: "a", ccmtest.Gen2018: "a/b", ccmtest.GenModern: "a/b"}},
		{`5`, map[ccmtest.Generation]string{-1: ""}},
	} {
		for _, g := range append(ccmtest.Generations(), ccmtest.GenModern) {
			want, special := row.want[g]
			if !special {
				want = row.want[-1]
			}
			if got := g.Text([]byte(`{"s":`+row.in+`}`), "$.s"); got != want {
				t.Errorf("%s: %s: got %q, want %q", g, row.in, got, want)
			}
		}
	}
}

// TestSlash: what a host prints.
func TestSlash(t *testing.T) {
	each(t, func(t *testing.T, g ccmtest.Generation) {
		b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{Generation: g, Bare: true})
		b.mcu.Notify(t.Context(), "MQTT.Sub", "{%Q:%Q}", "topic", "t/#")
		want := `{"method":"MQTT.Sub","params":{"topic":"t/#"}}` + "\n"
		if g == ccmtest.Gen2018 {
			want = strings.ReplaceAll(want, "/", `\/`)
		}
		if got := b.out(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestBootReport: with its line end and without.
func TestBootReport(t *testing.T) {
	const report = `{"method":"Shadow.Report","params":{"on":false,"uptime":0}}`
	each(t, func(t *testing.T, g ccmtest.Generation) {
		usual := report + "\n"
		if g == ccmtest.GenHead {
			usual = report
		}
		for kind, want := range map[ccmtest.BootReport]string{
			ccmtest.ReportUsual: usual, ccmtest.ReportLF: report + "\n", ccmtest.ReportNoLF: report, ccmtest.ReportNone: "",
		} {
			b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{Generation: g, Report: kind})
			if got := b.out(); got != want {
				t.Errorf("%d: got %q, want %q", kind, got, want)
			}
		}
	})
}

// TestBoot: what arrives while the host boots is lost, a head of a frame too.
func TestBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{
			BootTime: 300 * time.Millisecond, BootText: "ets Jan  8 2013\r\n", DropFirst: 3, Report: ccmtest.ReportNone})
		if got := b.out(); got != "ets Jan  8 2013\r\n" {
			t.Errorf("at first: %q", got)
		}
		b.want(`{"id":1,"meth`, "")
		time.Sleep(300 * time.Millisecond)
		b.want(`xxxod":"Sum"}`+"\n", complaint(`od":"Sum"}`))
		if s := b.mcu.Stats(); s.Lost != 16 || s.Received != 11 || s.Boots != 1 || s.Resets != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestResetMidFrame: a reset drops half a request, and cuts an answer off.
func TestResetMidFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{BootTime: 50 * time.Millisecond, Report: ccmtest.ReportNone})
		time.Sleep(50 * time.Millisecond)
		b.want(`{"id":1,"method":`, "")
		b.mcu.Reset(t.Context())
		time.Sleep(50 * time.Millisecond)
		b.want(`"Sum"}`+"\n", complaint(`"Sum"}`))

		b.mcu.ResetAfter(0, 7)
		b.want(`{"id":1,"method":"Sum"}`+"\n", `{"id":1`)
		time.Sleep(50 * time.Millisecond)
		b.want(`{"id":2,"method":"Sum"}`+"\n", `{"id":2,"result":0}`+"\n")

		b.mcu.ResetAfter(5, 0)
		b.want(`{"id":3,"method":"Sum"}`+"\n", "")
		time.Sleep(50 * time.Millisecond)
		b.want(`{"id":4,"method":"Sum"}`+"\n", `{"id":4,"result":0}`+"\n")
		if s := b.mcu.Stats(); s.Resets != 3 || s.Boots != 4 || s.Unsent != uint64(len(`,"result":0}`)+1) {
			t.Errorf("%+v", s)
		}
		if got := b.mcu.Received(); !slices.Equal(got, []string{`"Sum"}`, `{"id":1,"method":"Sum"}`, `{"id":2,"method":"Sum"}`, `{"id":4,"method":"Sum"}`}) {
			t.Errorf("received %q", got)
		}
	})
}

// TestHold: the reset pin, driven by DTR.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mcu := ccmtest.NewMCU(ccmtest.MCUOptions{BootTime: 10 * time.Millisecond})
		line := ccmtest.NewUART(ccmtest.Line{OnControl: func(e ccmtest.Event) {
			if e.Side == ccmtest.Module && e.Kind == ccmtest.EventDTR {
				mcu.Hold(e.Level)
			}
		}})
		b := &bench{t: t, line: line, mcu: mcu}
		go mcu.Run(t.Context(), line.Host())
		time.Sleep(time.Second)
		b.out()
		b.want(`{"id":1,"method":"Shadow.Delta","params":{"on":true}}`+"\n",
			`{"method":"Shadow.Report","params":{"on":true,"uptime":0}}`+"\n"+`{"id":1,"result":null}`+"\n")
		if !mcu.On() {
			t.Error("the switch is off")
		}
		line.Module().SetDTR(true)
		b.want(`{"id":2,"method":"Sum"}`+"\n", "")
		time.Sleep(time.Hour)
		line.Module().SetDTR(false)
		time.Sleep(10 * time.Millisecond)
		if got := b.out(); got != `{"method":"Shadow.Report","params":{"on":false,"uptime":0}}`+"\n" || mcu.On() {
			t.Errorf("after the reset %q, on %v", got, mcu.On())
		}
	})
}

// TestHang: a hung host is silent until it goes on or is reset.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ccmtest.Line{HostBuffer: 30}, ccmtest.MCUOptions{Chatter: time.Second, Report: ccmtest.ReportNone})
		b.out()
		b.mcu.Hang(true)
		b.want(`{"id":1,"method":"Sum"}`+"\n", "")
		time.Sleep(time.Minute)
		if got := b.out(); got != "" {
			t.Errorf("while it hangs: %q", got)
		}
		if calls := b.mcu.Calls(); len(calls) != 0 {
			t.Errorf("while it hangs: %+v", calls)
		}
		b.mcu.Hang(false)
		if got := b.out(); got != `{"id":1,"result":0}`+"\n" {
			t.Errorf("when it goes on: %q", got)
		}
		b.mcu.Hang(true)
		b.want(`{"id":2,"method":"Sum"}`+"\n", "")
		b.mcu.Reset(t.Context())
		b.want(`{"id":3,"method":"Sum"}`+"\n", `{"id":3,"result":0}`+"\n")
	})
}

// TestSlowReader: a host that is slow to fetch bytes loses them, unless the
// module paces itself.
func TestSlowReader(t *testing.T) {
	for _, paced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, ccmtest.Line{Baud: 115200, HostBuffer: 64},
				ccmtest.MCUOptions{ByteTime: 120 * time.Microsecond, Report: ccmtest.ReportNone})
			o := framing.Options{}
			if paced {
				o.Pace = framing.Arduino64()
			}
			c := framing.NewConn(b.line.Module(), &o)
			for range 50 {
				c.WriteFrame([]byte(`{"method":"Sum","params":[2,3],"pad":"` + strings.Repeat("x", 200) + `"}`))
			}
			time.Sleep(time.Second)
			lost := b.line.Module().Stats().Overrun
			if calls := b.mcu.Stats().Calls; paced != (lost == 0) || paced != (calls == 50) {
				t.Errorf("paced %v: %d bytes lost, %d calls", paced, lost, calls)
			}
		})
	}
}

// TestChatter: log lines of all kinds; no frame suffers.
func TestChatter(t *testing.T) {
	each(t, func(t *testing.T, g ccmtest.Generation) {
		b := newBench(t, ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{
			Generation: g, Chatter: 10 * time.Millisecond, Seed: 3, Report: ccmtest.ReportNone})
		junk := map[string]bool{}
		c := jsonrpc.NewConn(framing.NewConn(b.line.Module(), &framing.Options{Junk: func(p []byte) { junk[string(p[:min(1, len(p))])] = true }}), nil)
		go c.Run(t.Context())
		for i := range 200 {
			if got, err := c.Call(t.Context(), nil, "Sum", "[%d,%d]", i, 1); err != nil || string(got) != fmt.Sprint(i+1) {
				t.Fatalf("Sum %d: %s, %v", i, got, err)
			}
		}
		if len(junk) < 5 {
			t.Errorf("only %d kinds of log lines", len(junk))
		}
	})
}

// TestMCUCall: a host that calls the module.
func TestMCUCall(t *testing.T) {
	var mux jsonrpc.Mux
	mux.HandleFunc("Config.Get", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Result(r.Params()) })
	for _, g := range append(ccmtest.Generations(), ccmtest.GenModern) {
		t.Run(g.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, ccmtest.Line{Baud: 9600}, ccmtest.MCUOptions{Generation: g})
				c := jsonrpc.NewConn(framing.NewConn(b.line.Module(), nil), &jsonrpc.ConnOptions{Handler: &mux})
				go c.Run(t.Context())
				if got, err := b.mcu.Call(t.Context(), "Config.Get", "{%Q:%Q}", "key", "wifi"); err != nil || string(got) != `{"key":"wifi"}` {
					t.Errorf("got %s, %v", got, err)
				}
				start := time.Now()
				_, err := b.mcu.Call(t.Context(), "Nope", "")
				if g <= ccmtest.Gen2019 {
					if !errors.Is(err, jsonrpc.ErrTimeout) || time.Since(start) != 10*time.Second || b.mcu.Stats().Complaints != 1 {
						t.Errorf("unknown method: %v after %v", err, time.Since(start))
					}
				} else if !errors.Is(err, jsonrpc.ErrMethodNotFound) {
					t.Errorf("unknown method: %v", err)
				}
				if _, err := b.mcu.Call(t.Context(), "Config.Get", "%d", "x"); err == nil {
					t.Error("arguments that do not fit the format: no error")
				}
			})
		})
	}
}

// TestModern: a host of package ccm/host behind the same pins.
func TestModern(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ccmtest.Line{Baud: 115200, Faults: ccmtest.Uniform(1e-3), Seed: 1}, ccmtest.MCUOptions{
			Generation: ccmtest.GenModern, Chatter: 20 * time.Millisecond, BootTime: 100 * time.Millisecond, Mirror: true})
		b.mcu.Handle("Beside", jsonrpc.In(jsonrpc.Beside, jsonrpc.HandlerFunc(
			func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Result([]byte("1")) })))
		reports := make(chan string, 9)
		var mux jsonrpc.Mux
		mux.HandleFunc("Shadow.Report", func(_ context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) {
			select {
			case reports <- string(r.Params()):
			default:
			}
		})
		c := jsonrpc.NewConn(framing.NewConn(b.line.Module(), &framing.Options{CRC: framing.CRCSend, RequireCRC: true}),
			&jsonrpc.ConnOptions{Handler: &mux, Retries: 9})
		go c.Run(t.Context())
		call := func(method, format string, args ...any) string {
			got, err := c.Call(t.Context(), nil, method, format, args...)
			if err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			return string(got)
		}
		boot := mjson.Find([]byte(call("Sys.Info", "")), "$.boot").String()
		for i := range 50 {
			if got := call("Sum", "[%d,1]", i); got != fmt.Sprint(i+1) {
				t.Errorf("%d+1 = %s", i, got)
			}
		}
		if got := call("Beside", ""); got != "1" {
			t.Error(got)
		}
		b.line.Module().SetFaults(ccmtest.Faults{})
		b.line.Host().SetFaults(ccmtest.Faults{})
		for len(reports) > 0 {
			<-reports
		}
		call("Shadow.Delta", `{"a":{"b":1},"on":true}`)
		if got := <-reports; got != `{"a":{"b":1},"on":true}` || !b.mcu.On() || b.mcu.State() != `{"a":{"b":1},"on":true}` {
			t.Errorf("report %s, on %v, state %s", got, b.mcu.On(), b.mcu.State())
		}
		if b.mcu.Host() == nil {
			t.Error("no Host")
		}
		b.mcu.Reset(t.Context())
		if b.mcu.Host() != nil {
			t.Error("a Host while it boots")
		}
		if again := mjson.Find([]byte(call("Sys.Info", "")), "$.boot").String(); again == boot || b.mcu.Host() == nil {
			t.Errorf("boot is %s again", again)
		}
		if s := b.mcu.Stats(); s.Boots != 2 || s.Resets != 1 || s.Calls < 52 {
			t.Errorf("%+v", s)
		}
	})
}

// TestPowerCycle: Run again, and what does not work while it is off.
func TestPowerCycle(t *testing.T) {
	each(t, func(t *testing.T, g ccmtest.Generation) {
		boots := 0
		mcu := ccmtest.NewMCU(ccmtest.MCUOptions{Generation: g, OnBoot: func(ctx context.Context, m *ccmtest.MCU) {
			boots++
			m.Print(ctx, "up\n")
		}})
		line := ccmtest.NewUART(ccmtest.Line{})
		off, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := mcu.Notify(off, "x", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("off: %v", err)
		}
		cancel()
		for i := range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- mcu.Run(ctx, line.Host()) }()
			if err := mcu.Ready(ctx); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if err := mcu.Run(ctx, ccmtest.NewUART(ccmtest.Line{}).Host()); !errors.Is(err, ccmtest.ErrRunning) {
				t.Errorf("second Run: %v", err)
			}
			if got := (&bench{t: t, line: line, mcu: mcu}).out(); !strings.HasSuffix(got, "up\n") || boots != i+1 {
				t.Errorf("boot %d: %q", boots, got)
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
		done := make(chan error)
		go func() { done <- mcu.Run(t.Context(), line.Host()) }()
		synctest.Wait()
		line.Host().Unplug()
		if err := <-done; !errors.Is(err, uart.ErrUnplugged) {
			t.Errorf("unplugged: %v", err)
		}
	})
}

// TestCalls: the logs, and their bounds.
func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{Log: 3, Report: ccmtest.ReportNone})
		for i := range 20 {
			b.ask(fmt.Sprintf(`{"id":%d,"method":"Sum","params":[%d]}`+"\n"+`{"id":%d,"result":0}`+"\n", i, i, i))
		}
		b.ask(`{"method":"Sum"}` + "\n")
		calls := b.mcu.Calls()
		if len(calls) != 3 || calls[1].ID != "19" || calls[1].Params != "[19]" || calls[1].Method != "Sum" || calls[2].ID != "" || calls[2].At.IsZero() {
			t.Errorf("%+v", calls)
		}
		if got := b.mcu.Responses(); !slices.Equal(got, []string{`{"id":17,"result":0}`, `{"id":18,"result":0}`, `{"id":19,"result":0}`}) {
			t.Errorf("%q", got)
		}
		if len(b.mcu.Received()) != 3 || b.mcu.Stats().Lines != 41 {
			t.Errorf("%q", b.mcu.Received())
		}
	})
}

// TestCancel: what waits for room in the queue of a host that hangs ends with its
// ctx.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{Report: ccmtest.ReportNone})
		b.mcu.Hang(true)
		for full := false; !full; {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			full = b.mcu.Print(ctx, "log\n") != nil
			cancel()
		}
		for name, call := range map[string]func(context.Context) error{
			"Print":  func(ctx context.Context) error { return b.mcu.Print(ctx, "x\n") },
			"Notify": func(ctx context.Context) error { return b.mcu.Notify(ctx, "a", "") },
			"Call":   func(ctx context.Context) error { _, err := b.mcu.Call(ctx, "a", ""); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			cancel()
		}
	})
}

// TestDisarmed: a reset disarms both traps.
func TestDisarmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ccmtest.Line{}, ccmtest.MCUOptions{Report: ccmtest.ReportNone})
		b.out()
		b.mcu.ResetAfter(5, 5)
		b.mcu.Reset(t.Context())
		b.want(`{"id":1,"method":"Sum"}`+"\n", `{"id":1,"result":0}`+"\n")
		if n := b.mcu.Stats().Resets; n != 1 {
			t.Errorf("%d resets", n)
		}
	})
}
