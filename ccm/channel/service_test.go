package channel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

func TestNew(t *testing.T) {
	gate, err := access.New(access.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []channel.Config{
		{}, {Gate: gate}, {Lookup: func([]byte) (jsonrpc.Handler, func(int) int) { return nil, nil }},
	} {
		if _, err := channel.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// TestFrames: a frame and its reply, byte for byte.
func TestFrames(t *testing.T) {
	long := strings.Repeat("M", 200)
	for _, tt := range []struct{ name, in, want string }{
		{"as mos asks", `{"src":"mos","id":1410229094880,"method":"Test.Echo","params":{"a":1}}` + "\n",
			`{"id":1410229094880,"src":"ccm_A1B2C3","dst":"mos","result":{"a":1}}`},
		{"key order", `{"method":"Test.Echo","tag":"T\u0041","dst":"ccm_A1B2C3","id":7,"src":"me"}`,
			`{"id":7,"src":"ccm_A1B2C3","dst":"me","tag":"T\u0041","result":null}`},
		{"no src", `{"id":1,"method":"Test.Echo","params":[1]}`, `{"id":1,"src":"ccm_A1B2C3","result":[1]}`},
		{"alias", `{"id":1,"dst":"alias","method":"Test.Echo"}`, `{"id":1,"src":"ccm_A1B2C3","result":null}`},
		{"empty dst", `{"id":1,"dst":"","method":"Test.Echo"}`, `{"id":1,"src":"ccm_A1B2C3","result":null}`},
		{"other dst", `{"id":1,"dst":"ccm_a1b2c3","method":"Test.Echo"}`, ""},
		{"dst is no string", `{"id":1,"dst":7,"method":"Test.Echo"}`, ""},
		{"src is no string", `{"id":1,"src":7,"method":"Test.Echo"}`, ""},
		{"tag is no string", `{"id":1,"tag":[1],"method":"Test.Echo"}`, ""},
		{"auth is no object", `{"id":1,"auth":null,"method":"Test.Echo"}`, ""},
		{"src needs quoting", `{"id":1,"src":"a\"\n","method":"Test.Echo"}`,
			`{"id":1,"src":"ccm_A1B2C3","dst":"a\"\n","result":null}`},
		{"string id", `{"id":"x\u0041","method":"Test.Echo"}`, `{"id":"x\u0041","src":"ccm_A1B2C3","result":null}`},
		{"string of digits", `{"id":"12","method":"Test.Echo"}`, `{"id":"12","src":"ccm_A1B2C3","result":null}`},
		{"id with exponent", `{"id":1.5e+12,"method":"Test.Echo"}`, `{"id":1.5e+12,"src":"ccm_A1B2C3","result":null}`},
		{"negative id", `{"id":-3,"method":"Test.Echo"}`, `{"id":-3,"src":"ccm_A1B2C3","result":null}`},
		{"args", `{"id":1,"method":"Test.Echo","args":{"key":"debug.level"},"src":"m"}`,
			`{"id":1,"src":"ccm_A1B2C3","dst":"m","result":{"key":"debug.level"}}`},
		{"args first, spaced and escaped", "{ \"\\u0061rgs\" : [ 1 , 2 ] , \"id\":1,\"method\":\"Test.Echo\"}",
			`{"id":1,"src":"ccm_A1B2C3","result":[ 1 , 2 ]}`},
		{"params before args", `{"args":1,"id":1,"params":2,"method":"Test.Echo"}`, `{"id":1,"src":"ccm_A1B2C3","result":2}`},
		{"src twice", `{"id":1,"src":"a","src":"b","method":"Test.Echo"}`, ""},
		{"args twice", `{"id":1,"args":1,"args":2,"method":"Test.Echo"}`, ""},
		{"id twice", `{"id":1,"id":2,"method":"Test.Echo"}`, ""},
		{"notification", `{"method":"Test.Echo","src":"mos"}`, ""},
		{"notification of nothing", `{"method":"Nope"}`, ""},
		{"result", `{"id":1,"result":5}`, ""},
		{"error", `{"id":1,"error":{"code":404,"message":"x"}}`, ""},
		{"error of mos without id", `{"error":{"code":404,"message":"Method [Shadow.Delta] not found"}}` + "\n", ""},
		{"no message", `{"config":{}}`, ""},
		{"array", `[{"id":1,"method":"Test.Echo"}]`, ""},
		{"not JSON", `{"id":1,"method":"Test.Echo",}`, ""},
		{"not UTF-8", "{\"id\":1,\"method\":\"Test.Echo\",\"params\":\"\xff\"}", ""},
		{"two frames", `{"id":1,"method":"Test.Echo"}{"id":2,"method":"Test.Echo"}`, ""},
		{"nothing", "", ""},
		{"too deep", `{"id":1,"method":"Test.Echo","params":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, ""},
		{"unknown", `{"src":"mos","id":2,"method":"Nope","params":{"a":1}}`,
			`{"id":2,"src":"ccm_A1B2C3","dst":"mos","error":{"code":404,"message":"No handler for Nope"}}`},
		{"name too long", `{"id":2,"method":"` + long + `"}`,
			`{"id":2,"src":"ccm_A1B2C3","error":{"code":404,"message":"No handler for this method"}}`},
		{"bad params", `{"id":2,"method":"Test.BadParams"}`, `{"id":2,"src":"ccm_A1B2C3","error":{"code":400,"message":"bad params"}}`},
		{"code of a host", `{"id":2,"method":"host/Bad"}`, `{"id":2,"src":"ccm_A1B2C3","error":{"code":-32601,"message":"method not found"}}`},
		{"panic", `{"id":2,"method":"Test.Panic"}`,
			`{"id":2,"src":"ccm_A1B2C3","error":{"code":500,"message":"the handler of the method did not return"}}`},
		{"result on several lines", `{"id":2,"method":"Test.Lines"}`, `{"id":2,"src":"ccm_A1B2C3","result":{  "a": [1, 2]}}`},
		{"result on two lines", `{"id":2,"method":"Test.LF"}`, `{"id":2,"src":"ccm_A1B2C3","result":[1,2]}`},
		{"role", `{"id":2,"method":"Test.Where"}`, `{"id":2,"src":"ccm_A1B2C3","result":["` + access.Host.String() + `","UART",""]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			if got := r.ask(t, hostOrigin(), tt.in); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
			}
			s := r.Stats()
			if s.Handlers != 0 {
				t.Errorf("%d places are taken", s.Handlers)
			}
			if n := s.Calls + s.Notifications + s.Bad + s.Foreign + s.Responses + s.NotFound; n != 1 {
				t.Errorf("counted %d times: %+v", n, s)
			}
			if (s.Panics == 1) != (tt.name == "panic") || (s.Panics == 1) != strings.Contains(r.log.String(), "boom") {
				t.Errorf("%d panics, log %s", s.Panics, r.log.String())
			}
			if err := r.Quiet(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFrameLimit: the limit counts the bytes that have come.
func TestFrameLimit(t *testing.T) {
	r := newRig(t, func(c *channel.Config) { c.MaxFrame = 100 })
	for n, want := range map[int]bool{99: true, 100: true, 101: false, 10000: false} {
		head := `{"id":1,"method":"Test.Where","params":"`
		frame := head + strings.Repeat("x", n-len(head)-2) + `"}`
		if got := r.ask(t, hostOrigin(), frame) != ""; got != want {
			t.Errorf("frame of %d bytes: answered %v", n, got)
		}
	}
	if n := r.Stats().TooLong; n != 2 {
		t.Errorf("%d counted as too long", n)
	}
	if _, err := r.Take(hostOrigin(), channel.Frame{Text: make([]byte, 101)}); !errors.Is(err, channel.ErrTooLong) {
		t.Errorf("error %v", err)
	}
}

// TestTake: what doors are told, and what they tell.
func TestTake(t *testing.T) {
	r := newRig(t, nil)
	bad := errors.New("bad source")
	source := func(src string) error {
		if src == "good" {
			return nil
		}
		return bad
	}
	for _, tt := range []struct {
		frame channel.Frame
		want  error
		reply string
	}{
		{channel.Frame{Text: []byte(`{"id":1,"src":"good"}`), Method: "Test.Echo", Source: source}, nil,
			`{"id":1,"src":"ccm_A1B2C3","dst":"good","result":null}`},
		{channel.Frame{Text: []byte(`{"id":1,"method":"Test.Echo"}`), Source: source}, bad, ""},
		{channel.Frame{Text: []byte(`{"method":"Test.Echo"}`), Source: source}, nil, ""},
		{channel.Frame{Text: []byte(" { } "), Method: "Test.Echo"}, nil, ""},
		{channel.Frame{Method: "Test.Echo"}, nil, ""},
		{channel.Frame{Text: []byte(`[]`), Method: "Test.Echo"}, errParse, ""},
		{channel.Frame{Text: []byte(`{"method":"Test.Echo"}`), Method: "Test.Echo"}, errParse, ""},
		{channel.Frame{Text: []byte(`{"id":1,"method":"a","dst":"b"}`)}, channel.ErrNotForUs, ""},
		{channel.Frame{Text: []byte(`{"id":1,"result":1}`)}, channel.ErrResponse, ""},
		{channel.Frame{Text: []byte(`{"id":1,"method":"a","tag":1}`)}, channel.ErrBadMember, ""},
		{channel.Frame{Text: []byte(`{"method":"Nope"}`)}, channel.ErrUnanswered, ""},
	} {
		c, err := r.Take(hostOrigin(), tt.frame)
		_, parse := errors.AsType[*jsonrpc.ParseError](err)
		if !errors.Is(err, tt.want) && !(parse && tt.want == errParse) || (c == nil) != (err != nil) {
			t.Errorf("%s %s: %v, want %v", tt.frame.Method, tt.frame.Text, err, tt.want)
		}
		if c == nil {
			continue
		}
		reply := ""
		c.Serve(t.Context(), func(p []byte) error { reply = string(p); return nil })
		if reply != tt.reply || c.Code() != 0 || c.Method() != "Test.Echo" || c.Notification() != (tt.reply == "") {
			t.Errorf("%s %s: %s", tt.frame.Method, tt.frame.Text, reply)
		}
	}
	_, err := r.Take(hostOrigin(), channel.Frame{Text: []byte(`{"method":"Nope"}`)})
	if refused, is := errors.AsType[*access.Refusal](err); !is || refused.Code != 404 {
		t.Errorf("error %v", err)
	}
}

var errParse = errors.New("a ParseError")

// TestAcceptMethod: bare results and bare errors.
func TestAcceptMethod(t *testing.T) {
	r := newRig(t, func(c *channel.Config) { c.MaxFrame = 200 })
	for _, tt := range []struct {
		method, params, want string
		code                 int
	}{
		{"Test.Echo", ` {"a":[1,2]} `, `{"a":[1,2]}`, 0},
		{"Test.Echo", "", "null", 0},
		{"Test.Lines", "", `{  "a": [1, 2]}`, 0},
		{"Nope", "", `{"code":404,"message":"No handler for Nope"}`, 404},
		{"Test.BadParams", "", `{"code":400,"message":"bad params"}`, 400},
		{"Test.Code", "[-1]", `{"code":-1,"message":"as asked"}`, -1},
		{"Test.Echo", `{`, `{"code":400,"message":"Invalid request"}`, 400},
		{"Test.Echo", `1,"auth":{}`, `{"code":400,"message":"Invalid request"}`, 400},
		{"Test.Echo", `1},{"a":1`, `{"code":400,"message":"Invalid request"}`, 400},
		{"Test.Echo", `{"a":1}}`, `{"code":400,"message":"Invalid request"}`, 400},
		{"Test.\xff", "", `{"code":400,"message":"Invalid request"}`, 400},
		{"Test.Echo", `"` + strings.Repeat("x", 300) + `"`, `{"code":413,"message":"the request is too long"}`, 413},
	} {
		c := r.AcceptMethod(hostOrigin(), tt.method, []byte(tt.params))
		var got string
		c.Serve(t.Context(), func(p []byte) error { got = string(p); return nil })
		if got != tt.want || c.Code() != tt.code {
			t.Errorf("%s %s: code %d, %s", tt.method, tt.params, c.Code(), got)
		}
	}
	if err := r.Quiet(t.Context()); err != nil || r.Stats().Handlers != 0 {
		t.Errorf("not quiet: %v, %+v", err, r.Stats())
	}
}

// TestOrder: Lookup is called in the order of arrival, and a handler that it
// returns runs even if its ctx has ended.
func TestOrder(t *testing.T) {
	r := newRig(t, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var calls []*channel.Call
	for i := range 4 {
		calls = append(calls, r.Accept(hostOrigin(), fmt.Appendf(nil, `{"id":%d,"method":"Test.M%d"}`, i, i)))
	}
	for _, c := range slices.Backward(calls) {
		c.Serve(ended, func([]byte) error { return nil })
	}
	if got := strings.Join(r.lookups, " "); got != "Test.M0 Test.M1 Test.M2 Test.M3" {
		t.Errorf("lookups %s", got)
	}
	if got := r.seen(); len(got) != 4 {
		t.Errorf("ran %v", got)
	}
}

// TestLoginByFrame: 401 with the challenge, the same id again with auth, and a
// login that holds for its frame only.
func TestLoginByFrame(t *testing.T) {
	r := newRig(t, nil)
	r.auth.Store(true)
	o := lanOrigin()
	const frame = `{"src":"mos","id":1377654103678,"method":"Test.Where"}`
	withAuth := func(auth string) string { return strings.TrimSuffix(frame, "}") + `,"auth":` + auth + `}` }
	reply := r.ask(t, o, frame)
	if head := `{"id":1377654103678,"src":"ccm_A1B2C3","dst":"mos","error":{"code":401,"message":"{\"auth_type\"`; !strings.HasPrefix(reply, head) {
		t.Fatalf("reply %s", reply)
	}
	_, challenge := errorOf(t, reply)
	auth := authOf(t, challenge, "admin", "secret")
	if got, want := r.ask(t, o, withAuth(auth)), `{"id":1377654103678,"src":"ccm_A1B2C3","dst":"mos","result":["`+access.LAN.String()+`","HTTP","admin"]}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if o.User != "" {
		t.Error("the login has changed the channel's origin")
	}
	if code, _ := errorOf(t, r.ask(t, o, withAuth(auth))); code != 401 {
		t.Errorf("replay: code %d", code)
	}
	code, challenge := errorOf(t, r.ask(t, o, frame))
	if code != 401 {
		t.Errorf("next frame without auth: code %d", code)
	}
	code, challenge = errorOf(t, r.ask(t, o, withAuth(authOf(t, challenge, "admin", "wrong"))))
	if code != 401 || !strings.Contains(challenge, "auth_type") {
		t.Errorf("wrong password: %d %s", code, challenge)
	}
	if code, _ := errorOf(t, r.ask(t, o, withAuth(`{}`))); code != 400 && code != 401 {
		t.Errorf("empty auth: code %d", code)
	}
	if got := r.seen(); len(got) != 1 {
		t.Errorf("calls %v", got)
	}
	if s := r.log.String(); strings.Contains(s, "response") || strings.Contains(s, md5hex("admin:RPC:secret")) {
		t.Errorf("the log tells secrets:\n%s", s)
	}
	// A role that needs no login does not look at auth.
	if got := r.ask(t, hostOrigin(), withAuth(`{"x":1}`)); !strings.Contains(got, "result") {
		t.Errorf("host: %s", got)
	}
	// Notifications are refused without a word.
	if got := r.ask(t, o, `{"method":"Test.Where"}`); got != "" || len(r.seen()) != 1 {
		t.Errorf("notification: %q", got)
	}
}

// TestUserIsJudged: a login is not enough if the rules say so, and it is not looked
// at where it would not help.
func TestUserIsJudged(t *testing.T) {
	r := newRig(t, nil)
	r.auth.Store(true)
	r.rules.Store(`[{"method":"Test.Echo","acl":"-admin,root"},{"method":"Test.Where","acl":"admin"}]`)
	for method, want := range map[string]int{"Test.Echo": 403, "Test.Where": 0} {
		frame := `{"id":1,"method":"` + method + `"}`
		code, challenge := errorOf(t, r.ask(t, lanOrigin(), frame))
		if code != 401 {
			t.Fatalf("%s: %d", method, code)
		}
		frame = strings.TrimSuffix(frame, "}") + `,"auth":` + authOf(t, challenge, "admin", "secret") + "}"
		if code, _ := errorOf(t, r.ask(t, lanOrigin(), frame)); code != want {
			t.Errorf("%s: %d, want %d", method, code, want)
		}
	}
	user := &access.Origin{Role: access.User, Channel: access.HTTP, Remote: "192.168.4.2:4711"}
	if code, _ := errorOf(t, r.ask(t, user, `{"id":1,"method":"Test.Echo","auth":{}}`)); code != 403 {
		t.Errorf("user: %d", code)
	}
	if got := r.seen(); len(got) != 1 {
		t.Errorf("calls %v", got)
	}
}

// TestNotFoundHoldsNothing: calls of nothing take no places.
func TestNotFoundHoldsNothing(t *testing.T) {
	r := newRig(t, nil)
	o := hostOrigin()
	for range 40 {
		if code, _ := errorOf(t, r.ask(t, o, `{"id":1,"method":"Nope"}`)); code != 404 {
			t.Fatalf("code %d", code)
		}
	}
	if got := r.ask(t, o, `{"id":1,"method":"Test.Echo"}`); !strings.Contains(got, "result") {
		t.Errorf("got %s", got)
	}
}

// TestPlaces: four handlers of a channel and 32 of all channels, then 429, and
// the reader goes on.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var replies []string
		done := make(chan string, 100)
		serve := func(o *access.Origin) {
			c := r.Accept(o, []byte(`{"id":1,"method":"Test.Block"}`))
			if c.Ready() {
				c.Serve(t.Context(), func(p []byte) error { replies = append(replies, string(p)); return nil })
				return
			}
			go c.Serve(t.Context(), func(p []byte) error { done <- string(p); return nil })
		}
		for range 9 {
			o := hostOrigin()
			for range 5 {
				serve(o)
			}
		}
		synctest.Wait()
		const busy = `{"id":1,"src":"ccm_A1B2C3","error":{"code":429,"message":"busy"}}`
		if n := r.blocked.Load(); n != 32 || len(replies) != 13 || slices.ContainsFunc(replies, func(s string) bool { return s != busy }) {
			t.Errorf("%d at work, refused %q", n, replies)
		}
		if s := r.Stats(); s.Busy != 13 || s.Handlers != 32 {
			t.Errorf("%+v", s)
		}
		// A notification is dropped.
		if got := r.ask(t, hostOrigin(), `{"method":"Test.Echo"}`); got != "" || r.Stats().Busy != 14 {
			t.Errorf("notification: %q", got)
		}
		r.release <- struct{}{}
		synctest.Wait()
		if got := r.ask(t, hostOrigin(), `{"id":1,"method":"Test.Echo"}`); !strings.Contains(got, "result") {
			t.Errorf("with one place: %s", got)
		}
		close(r.release)
		synctest.Wait()
		if s := r.Stats(); s.Handlers != 0 || len(done) != 32 {
			t.Errorf("%+v, %d replies", s, len(done))
		}
	})
}

// TestTimeout: a handler has a minute.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		begun := time.Now()
		got := r.ask(t, hostOrigin(), `{"id":1,"method":"Test.Wait"}`)
		if d := time.Since(begun); d != time.Minute || !strings.Contains(got, `"code":504`) {
			t.Errorf("after %v: %s", d, got)
		}
	})
}

// TestQuiet: it waits until the reply is written, not only made.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var quiet bool
		written := make(chan struct{})
		for range 2 {
			c := r.Accept(hostOrigin(), []byte(`{"id":1,"method":"Test.Echo"}`))
			go c.Serve(t.Context(), func([]byte) error { <-written; return nil })
		}
		go func() {
			if err := r.Quiet(context.Background()); err != nil {
				t.Error(err)
			}
			quiet = true
		}()
		limited, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Quiet(limited); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		written <- struct{}{}
		synctest.Wait()
		if quiet {
			t.Error("quiet while a reply is being written")
		}
		written <- struct{}{}
		synctest.Wait()
		if !quiet {
			t.Error("not quiet")
		}
	})
}

// TestUnsent: a reply that cannot be written is counted, one that is too long
// becomes an error.
func TestUnsent(t *testing.T) {
	r := newRig(t, nil)
	gone := errors.New("gone")
	c := r.Accept(hostOrigin(), []byte(`{"id":1,"method":"Test.Echo"}`))
	if err := c.Serve(t.Context(), func([]byte) error { return gone }); err != gone || r.Stats().Unsent != 1 {
		t.Errorf("error %v, %+v", err, r.Stats())
	}
	var wrote []string
	c = r.Accept(hostOrigin(), []byte(`{"id":1,"src":"a","method":"Test.Big"}`))
	c.Serve(t.Context(), func(p []byte) error {
		if len(p) > 1000 {
			return fmt.Errorf("here: %w", channel.ErrTooLong)
		}
		wrote = append(wrote, string(p))
		return nil
	})
	const want = `{"id":1,"src":"ccm_A1B2C3","dst":"a","error":{"code":413,"message":"the reply is too long"}}`
	if len(wrote) != 1 || wrote[0] != want || c.Code() != 413 || r.Stats().Unsent != 1 {
		t.Errorf("wrote %q, code %d", wrote, c.Code())
	}
	if s := r.Stats(); s.Panics != 0 {
		t.Errorf("%+v", s)
	}
}
