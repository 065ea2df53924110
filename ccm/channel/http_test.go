package channel_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// TestHTTP: requests and their answers.
func TestHTTP(t *testing.T) {
	const (
		asJSON = "Content-Type: application/json"
		frame  = `{"src":"mos","id":7,"method":"Test.Echo","params":[1]}`
		reply  = `{"id":7,"src":"ccm_A1B2C3","dst":"mos","result":[1]}` + "\r\n"
		status = "\x00" // the body is the text of the status
		own    = "Origin: http://127.0.0.1:8910"
	)
	for _, tt := range []struct {
		name, in string
		status   int
		body     string
		ran      bool // a handler
	}{
		{"frame", post("/rpc", frame), 200, reply, true},
		{"frame with slash", post("/rpc/", frame+"\n"), 200, reply, true},
		{"error in a frame", post("/rpc", `{"id":7,"method":"Nope"}`), 200, `{"id":7,"src":"ccm_A1B2C3","error":{"code":404,"message":"No handler for Nope"}}` + "\r\n", false},
		{"notification", post("/rpc", `{"method":"Test.Echo"}`), 200, "", true},
		{"notification of nothing", post("/rpc", `{"method":"Nope"}`), 404, "", false},
		{"response", post("/rpc", `{"id":7,"result":1}`), 200, "", false},
		{"other dst", post("/rpc", `{"id":7,"method":"Test.Echo","dst":"x"}`), 400, "Invalid request\n", false},
		{"no frame", post("/rpc", `{"id":7}`), 400, "Invalid request\n", false},
		{"empty body", post("/rpc", ``), 400, "Invalid request\n", false},
		{"form of the manual elsewhere", post("/rpc", `{"config":{"wifi":{}}}`), 400, "Invalid request\n", false},

		{"method", post("/rpc/Test.Echo", `{"a":1}`), 200, "{\"a\":1}\r\n", true},
		{"method without params", post("/rpc/Test.Echo", ``), 200, "null\r\n", true},
		{"method of a host", post("/rpc/host/Sum", ``), 200, "null\r\n", true},
		{"method with escapes", post("/rpc/Test%2eEcho", `1`), 200, "1\r\n", true},
		{"method with query", post("/rpc/Test.Echo?a=1", `1`), 200, "1\r\n", true},
		{"unknown method", post("/rpc/Nope", ``), 404, `{"code":404,"message":"No handler for Nope"}` + "\r\n", false},
		{"bad params", post("/rpc/Test.Echo", `{`), 400, `{"code":400,"message":"Invalid request"}` + "\r\n", false},
		{"error 400", post("/rpc/Test.BadParams", ``), 500, `{"code":400,"message":"bad params"}` + "\r\n", true},
		{"error 403", post("/rpc/Test.Code", `[403]`), 403, `{"code":403,"message":"as asked"}` + "\r\n", true},
		{"error 404", post("/rpc/Test.Code", `[404]`), 404, `{"code":404,"message":"as asked"}` + "\r\n", true},
		{"error -1", post("/rpc/Test.Code", `[-1]`), 500, `{"code":-1,"message":"as asked"}` + "\r\n", true},
		{"error 401 of a handler", post("/rpc/Test.Code", `[401]`), 500, `{"code":401,"message":"as asked"}` + "\r\n", true},
		{"panic", post("/rpc/Test.Panic", ``), 500, `{"code":500,"message":"the handler of the method did not return"}` + "\r\n", true},

		{"GET RPC.List", request("GET", "/rpc/RPC.List", ""), 200, "null\r\n", true},
		{"GET Sys.GetInfo", request("GET", "/rpc/Sys.GetInfo?a=1", ""), 200, "null\r\n", true},
		{"GET with effects", request("GET", "/rpc/Config.Set?config=1", ""), 405, status, false},
		{"GET", request("GET", "/rpc", ""), 405, status, false},
		{"PUT", request("PUT", "/rpc", ""), 405, status, false},
		{"PUT of a method", request("PUT", "/rpc/RPC.List", ""), 405, status, false},
		{"OPTIONS", request("OPTIONS", "/rpc", ""), 200, "", false},
		{"OPTIONS of all", request("OPTIONS", "*", ""), 404, status, false},
		{"no files", request("GET", "/", ""), 404, status, false},
		{"no configuration", request("GET", "/conf9.json", ""), 404, status, false},
		{"no upload", post("/upload", "x"), 404, status, false},
		{"longer path", post("/rpcx", frame), 404, status, false},
		{"climbing path", post("/x/../rpc", frame), 404, status, false},

		{"own origin", post("/rpc", frame, own, asJSON), 200, reply, true},
		{"own origin, charset", post("/rpc", frame, own, "Content-Type: application/json; charset=utf-8"), 200, reply, true},
		{"own origin, a form", post("/rpc", frame, own, "Content-Type: text/plain"), 415, status, false},
		{"own origin, no type", post("/rpc/Test.Echo", "1", own), 415, status, false},
		{"no origin, a form", post("/rpc", frame, "Content-Type: application/x-www-form-urlencoded"), 200, reply, true},
		{"foreign origin", post("/rpc", frame, "Origin: http://evil.example", asJSON), 403, status, false},
		{"origin of another port", post("/rpc", frame, "Origin: http://127.0.0.1:80", asJSON), 403, status, false},
		{"origin of mos outside a websocket", post("/rpc", frame, "Origin: https://api.cesanta.com/", asJSON), 403, status, false},
		{"no origin to speak of", post("/rpc", frame, "Origin: null", asJSON), 403, status, false},
		{"empty origin", post("/rpc", frame, "Origin:", asJSON), 403, status, false},
		{"two origins", post("/rpc", frame, own, "Origin: http://evil.example", asJSON), 403, status, false},
		{"origin with a user", post("/rpc", frame, "Origin: http://x@127.0.0.1:8910", asJSON), 403, status, false},
		{"origin of another kind", post("/rpc", frame, "Origin: ftp://127.0.0.1:8910", asJSON), 403, status, false},
		{"foreign origin, GET", request("GET", "/rpc/RPC.List", "", "Origin: http://evil.example"), 403, status, false},
		{"foreign origin, OPTIONS", request("OPTIONS", "/rpc", "", "Origin: http://evil.example"), 403, status, false},

		{"host is our id", post("/rpc", frame, "Host: CCM_a1b2c3"), 200, reply, true},
		{"host is localhost", post("/rpc", frame, "Host: localhost:8910"), 200, reply, true},
		{"host is configured", post("/rpc", frame, "Host: Box.local:80"), 200, reply, true},
		{"host is IPv6", post("/rpc", frame, "Host: [fe80::1]:80"), 200, reply, true},
		{"host is IPv6 without port", post("/rpc", frame, "Host: [::1]"), 200, reply, true},
		{"host is somebody else", post("/rpc", frame, "Host: evil.example"), 403, status, false},
		{"host and origin are somebody else", post("/rpc", frame, "Host: evil.example", "Origin: http://evil.example", asJSON), 403, status, false},
		{"host is like an address", post("/rpc", frame, "Host: 127.0.0.1.evil.example"), 403, status, false},
		{"host is empty", post("/rpc", frame, "Host:"), 403, status, false},
		{"foreign host, GET", request("GET", "/rpc/RPC.List", "", "Host: evil.example"), 403, status, false},

		{"too long", post("/rpc", frame+strings.Repeat(" ", 4097-len(frame))), 413, status, false},
		{"just not too long", post("/rpc", frame+strings.Repeat(" ", 4096-len(frame))), 200, reply, true},
		{"too long for a method", post("/rpc/Test.Echo", strings.Repeat(" ", 4097)), 413, status, false},
		{"chunked and too long", strings.Replace(post("/rpc", ""), "Content-Length: 0", "Transfer-Encoding: chunked", 1) +
			strings.Repeat("800\r\n"+strings.Repeat(" ", 0x800)+"\r\n", 3), 413, status, false},
		{"upgrade without a key", request("GET", "/rpc", "", "Upgrade: websocket", "Connection: Upgrade"), 400, "any", false},
		{"upgrade of a method", request("GET", "/rpc/Test.Echo", "", "Upgrade: websocket", "Connection: Upgrade"), 405, status, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN, Hosts: func() []string { return []string{"other", "", "box.local"} }})
			res := roundTrip(t, addr, tt.in)
			want := tt.body
			if want == status {
				want = http.StatusText(tt.status) + "\n"
			}
			if res.StatusCode != tt.status || res.body != want && want != "any" {
				t.Errorf("status %d, want %d\n got %q\nwant %q", res.StatusCode, tt.status, res.body, want)
			}
			if res.StatusCode == 405 && res.Header.Get("Allow") == "" {
				t.Error("no Allow")
			}
			for name := range res.Header {
				if strings.HasPrefix(name, "Access-Control") {
					t.Errorf("header %s", name)
				}
			}
			if got := r.seen(); (len(got) > 0) != tt.ran {
				t.Errorf("handlers: %v", got)
			}
			if strings.HasSuffix(want, "\r\n") != (res.Header.Get("Content-Type") == "application/json") {
				t.Errorf("Content-Type %s", res.Header.Get("Content-Type"))
			}
		})
	}
}

// TestHTTPLogin: the challenge has a header and no body, in both forms.
func TestHTTPLogin(t *testing.T) {
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/rpc", `{"id":7,"method":"Test.Where"}`, `{"id":7,"src":"ccm_A1B2C3","result":["` + access.LAN.String() + `","HTTP","admin"]}` + "\r\n"},
		{"POST", "/rpc/Test.Where", "", `["` + access.LAN.String() + `","HTTP","admin"]` + "\r\n"},
		{"GET", "/rpc/RPC.List", "", "null\r\n"},
	} {
		r := newRig(t, nil)
		r.auth.Store(true)
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		ask := func(headers ...string) response {
			return roundTrip(t, addr, request(tt.method, tt.path, tt.body, headers...))
		}
		res := ask()
		challenge := res.Header.Get("WWW-Authenticate")
		if res.StatusCode != 401 || res.body != "" || !strings.HasSuffix(challenge, "algorithm=MD5") {
			t.Fatalf("%s: %d %q %q", tt.path, res.StatusCode, challenge, res.body)
		}
		header := authorization(t, challenge, "admin", "secret", tt.method, tt.path)
		if res = ask(header); res.StatusCode != 200 || res.body != tt.want {
			t.Errorf("%s: %d %s", tt.path, res.StatusCode, res.body)
		}
		for _, bad := range []string{
			strings.Replace(header, `response="`, `response="0`, 1), authorization(t, challenge, "admin", "wrong", tt.method, tt.path),
			authorization(t, challenge, "root", "secret", tt.method, tt.path), authorization(t, challenge, "admin", "secret", tt.method, "/x"),
		} {
			res = ask(bad)
			if res.StatusCode != 401 && res.StatusCode != 400 || res.body != "" {
				t.Errorf("%s: %s: %d %s", tt.path, bad, res.StatusCode, res.body)
			}
		}
		if got := r.seen(); len(got) != 1 {
			t.Errorf("%s: handlers %v", tt.path, got)
		}
		if s := r.log.String(); strings.Contains(s, "response=") || strings.Contains(s, "cnonce") {
			t.Errorf("the log tells secrets:\n%s", s)
		}
	}
	// A notification that is refused has no reply frame, but HTTP has its status.
	r := newRig(t, nil)
	r.auth.Store(true)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	if res := roundTrip(t, addr, post("/rpc", `{"method":"Test.Echo"}`)); res.StatusCode != 401 || res.body != "" || res.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("notification: %d %s", res.StatusCode, res.body)
	}
	// Login by frame works over HTTP, too.
	near := lanOrigin()
	near.Remote = addr // a nonce is for the address that it was made for
	_, challenge := errorOf(t, r.ask(t, near, `{"id":1,"method":"Test.Where"}`))
	res := roundTrip(t, addr, post("/rpc", `{"id":7,"method":"Test.Where","auth":`+authOf(t, challenge, "admin", "secret")+`}`))
	if res.StatusCode != 200 || !strings.Contains(res.body, `"admin"`) {
		t.Errorf("auth in the frame: %d %s", res.StatusCode, res.body)
	}
}

// TestManualForm: {"config":...} alone, as the manual prints it, on the access
// point.
func TestManualForm(t *testing.T) {
	const body = ` {"config":{"wifi":{"sta":{"ssid":"n"}}}} `
	const set = `Config.Set {"config":{"wifi":{"sta":{"ssid":"n"}}},"save":true,"reboot":true}`
	for _, tt := range []struct {
		name, body string
		role       access.Role
		closed     bool
		fail       string // the method that fails
		status     int
		calls      string
	}{
		{"as printed", body, access.User, false, "", 200, set},
		{"window closed", body, access.User, true, "", 403, ""},
		{"LAN", body, access.LAN, false, "", 400, ""},
		{"refused", body, access.User, false, "Config.Set", 403, set},
		{"with more", `{"config":{},"level":1}`, access.User, false, "", 400, ""},
		{"no object", `{"config":7}`, access.User, false, "", 400, ""},
		{"something behind", `{"config":{}},"dst":"x"`, access.User, false, "", 400, ""},
		{"twice", `{"config":{},"config":{}}`, access.User, false, "", 400, ""},
		{"array", `[{}]`, access.User, false, "", 400, ""},
		{"a method", `{"id":1,"method":"Test.Echo","config":{}}`, access.User, false, "", 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.window.Store(!tt.closed)
			r.answer = func(w *jsonrpc.Response, q *jsonrpc.Request) bool {
				if string(q.Method()) != tt.fail {
					return false
				}
				w.Error(403, "wifi.sta.ssid")
				return true
			}
			addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: tt.role})
			res := roundTrip(t, addr, post("/rpc", tt.body))
			if res.StatusCode != tt.status {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
			if tt.status == 200 && tt.calls != "" && res.body != `{"saved":true}`+"\r\n" {
				t.Errorf("body %q", res.body)
			}
			if tt.fail != "" && res.body != `{"code":403,"message":"wifi.sta.ssid"}`+"\r\n" {
				t.Errorf("body %q", res.body)
			}
			if got := strings.Join(r.seen(), "|"); got != tt.calls {
				t.Errorf("calls %s", got)
			}
		})
	}
}

// TestManualFormIsWhole: nothing is set if it may not be saved.
func TestManualFormIsWhole(t *testing.T) {
	r := newRig(t, nil)
	r.foreign.Store("Config.Save")
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.User})
	res := roundTrip(t, addr, post("/rpc", `{"config":{}}`))
	if got := r.seen(); res.StatusCode != 403 || len(got) != 0 {
		t.Errorf("%d, calls %v", res.StatusCode, got)
	}
}

// TestHTTPBusy: a request for which there is no place is told so.
func TestHTTPBusy(t *testing.T) {
	r := newRig(t, func(c *channel.Config) { c.MaxHandlers = 1 })
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	io.WriteString(dial(t, addr), post("/rpc/Test.Block", ""))
	eventually(t, "blocked", func() bool { return r.blocked.Load() == 1 })
	if res := roundTrip(t, addr, post("/rpc/Test.Echo", "")); res.StatusCode != 429 || res.body != `{"code":429,"message":"busy"}`+"\r\n" {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	if res := roundTrip(t, addr, post("/rpc", `{"id":1,"method":"Test.Echo"}`)); res.StatusCode != 200 || !strings.Contains(res.body, `"code":429`) {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	close(r.release)
}

// TestHTTPKeepsAlive: several requests on one connection, also after an error.
func TestHTTPKeepsAlive(t *testing.T) {
	r := newRig(t, nil)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	c := dial(t, addr)
	br := bufio.NewReader(c)
	for range 3 {
		for path, status := range map[string]int{"/rpc/Test.Echo": 200, "/rpc/Nope": 404, "/rpc/Test.Code": 500} {
			io.WriteString(c, post(path, "[1]"))
			if res := readResponse(t, br); res.StatusCode != status {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
	}
	if n := r.Stats().Channels; n != 1 {
		t.Errorf("%d connections", n)
	}
	c.Close()
	eventually(t, "connection gone", func() bool { return r.Stats().Channels == 0 })
}

// TestHTTPDisconnect: the ctx of a handler ends when the caller has gone.
func TestHTTPDisconnect(t *testing.T) {
	r := newRig(t, nil)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	c := dial(t, addr)
	io.WriteString(c, post("/rpc/Test.Block", ""))
	eventually(t, "blocked", func() bool { return r.blocked.Load() == 1 })
	c.Close()
	eventually(t, "cancelled", func() bool { return r.blocked.Load() == 0 })
}

// TestHTTPHandlerAlone: the door as an http.Handler under a server of somebody
// else.
func TestHTTPHandlerAlone(t *testing.T) {
	r := newRig(t, nil)
	srv := httptest.NewServer(channel.NewHTTP(r.Service, channel.HTTPConfig{Role: access.LAN}))
	defer srv.Close()
	res := roundTrip(t, srv.Listener.Addr().String(), post("/rpc/Test.Echo", "1"))
	if res.body != "1\r\n" {
		t.Errorf("body %q", res.body)
	}
	ws := dialSocket(t, "ws"+strings.TrimPrefix(srv.URL, "http")+"/rpc")
	send(t, ws, `{"id":1,"method":"Test.Echo"}`)
	if got := receive(t, ws); !strings.Contains(got, `"result":null`) {
		t.Errorf("reply %s", got)
	}
	ws.CloseNow()
}

// TestTLS: HTTP and TCP over TLS; old versions and plain text get nowhere.
func TestTLS(t *testing.T) {
	r := newRig(t, nil)
	ca := testbed.NewCA(t, "ca")
	conf := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "device", nil, nil).TLS(ca)}, MinVersion: tls.VersionTLS10}
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN, TLS: conf, Limits: channel.Limits{Header: 300 * time.Millisecond}})
	l := listen(t)
	serving(t, func(ctx context.Context) error {
		return channel.ServeTCP(ctx, r.Service, l, channel.TCPConfig{Role: access.LAN, TLS: conf, Limits: channel.Limits{Header: 300 * time.Millisecond}})
	})
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	client := &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}}

	c := tls.Client(dial(t, addr), client)
	io.WriteString(c, post("/rpc/Test.Echo", "1"))
	if res := readResponse(t, bufio.NewReader(c)); res.body != "1\r\n" || c.ConnectionState().NegotiatedProtocol != "http/1.1" {
		t.Errorf("%q, protocol %s", res.body, c.ConnectionState().NegotiatedProtocol)
	}
	c = tls.Client(dial(t, addr), client)
	io.WriteString(c, post("/rpc/Test.Echo", "1", "Origin: http://127.0.0.1:8910", "Content-Type: application/json"))
	if res := readResponse(t, bufio.NewReader(c)); res.StatusCode != 403 {
		t.Errorf("origin without TLS: %d", res.StatusCode)
	}
	c = tls.Client(dial(t, addr), client)
	io.WriteString(c, post("/rpc/Test.Echo", "1", "Origin: https://127.0.0.1:8910", "Content-Type: application/json"))
	if res := readResponse(t, bufio.NewReader(c)); res.StatusCode != 200 {
		t.Errorf("origin with TLS: %d", res.StatusCode)
	}
	ws := dialSocket(t, "wss://"+addr+"/rpc", withTLS(client))
	send(t, ws, `{"id":1,"method":"Test.Echo"}`)
	receive(t, ws)
	ws.CloseNow()

	old := client.Clone()
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	for _, a := range []string{addr, l.Addr().String()} {
		if err := tls.Client(dial(t, a), old).Handshake(); err == nil {
			t.Error("TLS 1.1 is taken")
		}
		silent := dial(t, a) // is cut off
		if _, err := silent.Read(make([]byte, 100)); err == nil {
			t.Error("something was sent to somebody silent")
		}
		if ne, is := err2net(silent); is && ne.Timeout() {
			t.Error("somebody silent stays")
		}
	}
	c = tls.Client(dial(t, l.Addr().String()), client)
	io.WriteString(c, "\n\"\"\"{\"id\":1,\"method\":\"Test.Echo\"}\"\"\"\n")
	got := make([]byte, 100)
	n, _ := c.Read(got)
	if !strings.Contains(string(got[:n]), `"result":null`) {
		t.Errorf("TCP: %q", got[:n])
	}
}

// err2net reads from a connection that should have ended.
func err2net(c net.Conn) (net.Error, bool) {
	_, err := c.Read(make([]byte, 1))
	ne, is := err.(net.Error)
	return ne, is
}
