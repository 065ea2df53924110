package channel_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
)

// quiet returns a rig that remembers nothing.
func quiet(t testing.TB) *rig {
	r := newRig(t, func(c *channel.Config) { c.Logger = nil; c.MaxFrame = 512 })
	r.forgetful.Store(true)
	close(r.release)
	return r
}

// judge fails unless everything has been given back.
func (r *rig) judge(t *testing.T) {
	t.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if s := r.Stats(); s.Handlers != 0 || r.Quiet(ended) != nil {
		t.Fatalf("something is left: %+v", s)
	}
}

// FuzzFrame: whatever a frame is, its reply is one line of JSON with the id of the
// frame, byte for byte, and only calls that are for us get one.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		`{"src":"mos","id":1410229094880,"method":"Test.Echo","params":{"a":1}}`,
		`{"id":"x","method":"Test.Echo","args":[1,"\u0041"],"tag":"t","dst":"alias"}`,
		`{"id":1,"method":"Test.Where","auth":{"realm":"RPC","username":"admin","nonce":1,"cnonce":2,"response":"x"}}`,
		`{"method":"Test.Echo"}`, `{"id":1,"result":1}`, `{"error":{"code":404}}`, "{\"\\u0061rgs\" : 1,\"id\":-1.5e3,\"method\":\"Nope\"}",
	} {
		f.Add([]byte(s), "", false)
		f.Add([]byte(s), "Test.Echo", true)
	}
	f.Fuzz(func(t *testing.T, frame []byte, method string, lan bool) {
		r := quiet(t)
		r.auth.Store(true)
		o := hostOrigin()
		if lan {
			o = lanOrigin()
		}
		c, err := r.Take(o, channel.Frame{Text: frame, Method: method})
		if (c == nil) != (err != nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if c == nil {
			r.judge(t)
			return
		}
		in := map[string]json.RawMessage{}
		if method == "" {
			in = members(t, frame)
		}
		if dst := str(in["dst"]); dst != "" && dst != deviceID && dst != "alias" {
			t.Fatalf("a frame for %q was taken", dst)
		}
		writes := 0
		c.Serve(context.Background(), func(reply []byte) error {
			writes++
			if bytes.ContainsAny(reply, "\r\n") || !json.Valid(reply) {
				t.Fatalf("%q: reply %q", frame, reply)
			}
			if method == "" {
				head := `{"id":` + string(in["id"]) + `,"src":"` + deviceID + `"`
				out := members(t, reply)
				if !bytes.HasPrefix(reply, []byte(head)) || str(out["dst"]) != str(in["src"]) || !bytes.Equal(out["tag"], in["tag"]) {
					t.Fatalf("%q: reply %q", frame, reply)
				}
			}
			return nil
		})
		if (writes == 1) == c.Notification() {
			t.Fatalf("%q: %d replies", frame, writes)
		}
		if lan && c.Code() != 401 && c.Code() != 400 && c.Code() != 429 {
			t.Fatalf("%q: served without login: %d", frame, c.Code())
		}
		r.judge(t)
	})
}

// members returns the members of an object. encoding/json alone would take ID for
// id.
func members(t *testing.T, text []byte) map[string]json.RawMessage {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return all
}

// str returns the text of a member that is a string, or "".
func str(raw json.RawMessage) (s string) {
	json.Unmarshal(raw, &s)
	return s
}

// FuzzMethod: params of any kind give one JSON value as the answer.
func FuzzMethod(f *testing.F) {
	f.Add("Test.Echo", []byte(`{"a":1}`))
	f.Add("Test.Echo", []byte(`1,"auth":{}`))
	f.Add("Test.Lines", []byte(``))
	f.Add("Nope\"", []byte(`{`))
	f.Fuzz(func(t *testing.T, method string, params []byte) {
		r := quiet(t)
		c := r.AcceptMethod(hostOrigin(), method, params)
		writes := 0
		c.Serve(context.Background(), func(reply []byte) error {
			writes++
			if !json.Valid(reply) {
				t.Fatalf("%s %q: %q", method, params, reply)
			}
			if method == "Test.Echo" && c.Code() == 0 && len(bytes.TrimSpace(params)) > 0 && !json.Valid(params) {
				t.Fatalf("%q were taken for params", params)
			}
			return nil
		})
		if writes != 1 {
			t.Fatalf("%d answers", writes)
		}
		r.judge(t)
	})
}

// FuzzHTTP: whatever a request is, a foreign page or somebody without a password
// gets no handler to run, and the answer is one of those that there are.
func FuzzHTTP(f *testing.F) {
	frame := `{"id":1,"method":"Test.Echo"}`
	for _, s := range []string{
		post("/rpc", frame), post("/rpc/Test.Echo", "1"), request("GET", "/rpc/RPC.List", ""), request("OPTIONS", "*", ""),
		post("/rpc", frame, "Origin: http://evil.example"), post("/rpc", frame, "Host: evil.example"),
		post("/rpc", frame, `Authorization: Digest username="admin", realm="RPC", uri="/rpc", algorithm=MD5, nonce="1", nc=1, cnonce="1", qop=auth, response="x"`),
		request("GET", "/rpc", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: KAp5qHsSXaSdazmbyeRHDQ=="),
		post("/rpc", `{"config":{"wifi":{}}}`), post("/rpc//x/%2e", frame),
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, user bool) {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return
		}
		req.RemoteAddr = "192.0.2.7:4711"
		r := quiet(t)
		r.forgetful.Store(false)
		r.auth.Store(true)
		role := access.LAN
		if user {
			role = access.User
		}
		rec := httptest.NewRecorder()
		channel.NewHTTP(r.Service, channel.HTTPConfig{Role: role}).ServeHTTP(rec, req)
		switch rec.Code {
		case 200, 400, 401, 403, 404, 405, 413, 415, 426, 429, 500, 501, 101:
		default:
			t.Fatalf("status %d", rec.Code)
		}
		for name := range rec.Result().Header {
			if strings.HasPrefix(name, "Access-Control") {
				t.Fatalf("header %s", name)
			}
		}
		calls := r.seen()
		if role == access.LAN && len(calls) > 0 {
			t.Fatalf("served without login: %v", calls)
		}
		if o := req.Header.Get("Origin"); len(calls) > 0 && o != "" && !strings.HasSuffix(strings.ToLower(o), "://"+strings.ToLower(req.Host)) {
			t.Fatalf("origin %q, host %q: %v", o, req.Host, calls)
		}
		r.judge(t)
	})
}

// FuzzWebsocket: whatever bytes come on a websocket, it ends when the peer does,
// and nothing is left.
func FuzzWebsocket(f *testing.F) {
	f.Add(text(`{"id":1,"method":"Test.Echo"}`))
	f.Add(wsFrame(0x01, `{"id":1,`, 8))
	f.Add(wsFrame(0x81, "x", 1<<63))
	f.Add(wsFrame(0x88, "\x03\xe8", 2))
	f.Add(wsFrame(0x89, "ping", 4))
	f.Add(append(wsFrame(0x01, "{", 1), wsFrame(0x80, "}", 1)...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		synctest.Test(t, func(t *testing.T) {
			r := quiet(t)
			l := newMemListener()
			web := channel.NewHTTP(r.Service, channel.HTTPConfig{Role: access.LAN})
			stop := serving(t, func(ctx context.Context) error { return web.Serve(ctx, l) })
			c := l.dial()
			done := make(chan struct{})
			go func() {
				defer close(done)
				io.Copy(io.Discard, c)
			}()
			io.WriteString(c, request("GET", "/rpc", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
				"Sec-WebSocket-Key: KAp5qHsSXaSdazmbyeRHDQ=="))
			c.Write(stream)
			synctest.Wait()
			c.Close()
			<-done
			synctest.Wait()
			if s := r.Stats(); s.Channels != 0 {
				t.Fatalf("%+v", s)
			}
			stop()
			r.judge(t)
		})
	})
}

// FuzzBLE: whatever is written to and read from the characteristics, memory is
// bounded by the limits and Close ends everything.
func FuzzBLE(f *testing.F) {
	ping := `{"id":1,"method":"RPC.Ping"}`
	f.Add(append([]byte{0, 4, 0, 0, 0, byte(len(ping)), 1, byte(len(ping))}, ping...))
	f.Add([]byte{2, 0, 3, 0, 4, 1, 'k', 5, 1, 'v', 6, 1, '1'})
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) {
			r := quiet(t)
			b := channel.NewBLERPC(t.Context(), r.Service, "aa", func([4]byte) {})
			c := channel.NewBLEConfig(r.Service, "aa", func(_, text string) ([]byte, error) { return json.Marshal(text) })
			for len(script) >= 2 {
				op, n := script[0], min(int(script[1]), len(script)-2)
				p := script[2 : 2+n]
				script = script[2+n:]
				switch op % 8 {
				case 0:
					b.WriteTxControl(p)
				case 1:
					b.WriteData(p)
				case 2:
					b.ReadRxControl()
				case 3:
					b.ReadData(n)
				case 4:
					c.WriteKey(p)
				case 5:
					c.WriteValue(p)
				case 6:
					c.WriteSave(t.Context(), p)
				case 7:
					c.ReadValue(t.Context())
				}
				synctest.Wait()
			}
			b.Close()
			r.judge(t)
		})
	})
}
