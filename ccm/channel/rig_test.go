package channel_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

const deviceID = "ccm_A1B2C3"

// rig is a Service with toy methods.
type rig struct {
	*channel.Service
	login *access.Login
	log   syncBuffer

	forgetful atomic.Bool // does not remember calls

	window  atomic.Bool   // the provisioning window is open
	rules   atomic.Value  // rpc.acl, a string
	foreign atomic.Value  // a method that is not the module's own, a string
	auth    atomic.Bool   // there is an auth file: admin, secret
	release chan struct{} // lets Test.Block go on
	blocked atomic.Int32  // how many are in it

	mu      sync.Mutex
	lookups []string // in order
	calls   []string // METHOD PARAMS USER, in order
	answer  func(w *jsonrpc.Response, r *jsonrpc.Request) bool
}

// newRig returns a rig in which the window is open and nobody has a password.
func newRig(t testing.TB, change func(*channel.Config)) *rig {
	t.Helper()
	r := &rig{release: make(chan struct{})}
	r.window.Store(true)
	r.login = access.NewLogin(access.LoginConfig{
		Realm: func() string { return "RPC" },
		File: func() ([]byte, error) {
			if !r.auth.Load() {
				return nil, nil
			}
			return []byte("admin:RPC:" + md5hex("admin:RPC:secret") + "\n"), nil
		},
		Algorithm: func() access.Algorithm { return access.MD5 },
	})
	logger := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	gate, err := access.New(access.Config{
		Login: r.login, Window: r.window.Load, Logger: logger,
		Rules: func() (string, string) {
			rules, _ := r.rules.Load().(string)
			return rules, ""
		},
		Kind: func(method string) access.Kind {
			if foreign, _ := r.foreign.Load().(string); foreign == method {
				return access.Registered // which end users may not call
			}
			return access.Builtin
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := channel.Config{
		ID: func() string { return deviceID }, Aliases: []string{"alias"}, Gate: gate, Login: r.login,
		Lookup: r.lookup, Logger: logger,
	}
	if change != nil {
		change(&cfg)
	}
	if r.Service, err = channel.New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) lookup(method []byte) (jsonrpc.Handler, func(int) int) {
	name := string(method)
	r.mu.Lock()
	if !r.forgetful.Load() {
		r.lookups = append(r.lookups, name)
	}
	r.mu.Unlock()
	if strings.HasPrefix(name, "host/") {
		return jsonrpc.HandlerFunc(r.serve), nil
	}
	if strings.HasPrefix(name, "Nope") {
		return nil, nil
	}
	return jsonrpc.HandlerFunc(r.serve), jsonrpc.ManagementCode
}

// serve is all the toy methods.
func (r *rig) serve(ctx context.Context, w *jsonrpc.Response, req *jsonrpc.Request) {
	o := access.FromContext(ctx)
	method := string(req.Method())
	r.mu.Lock()
	if !r.forgetful.Load() {
		r.calls = append(r.calls, strings.TrimSpace(fmt.Sprintf("%s %s %s", method, req.Params(), o.User)))
	}
	answer := r.answer
	r.mu.Unlock()
	if answer != nil && answer(w, req) {
		return
	}
	switch method {
	case "RPC.Ping":
		w.Resultf(`{%Q:%Q}`, "channel_info", o.Remote)
	case "Test.Echo":
		w.Result(req.Params())
	case "Test.Where":
		w.Resultf(`[%Q,%Q,%Q]`, o.Role.String(), o.Channel, o.User)
	case "Test.Lines":
		w.Result([]byte("{\r\n  \"a\": [1,\n 2]\r\n}"))
	case "Test.Big":
		w.Result([]byte(`"` + strings.Repeat("x", 200_000) + `"`))
	case "Test.LF":
		w.Result([]byte("[1,\n2]"))
	case "Test.Large":
		w.Result([]byte(`"` + strings.Repeat("x", 16_000) + `"`))
	case "Test.BadParams":
		w.Fail(jsonrpc.ErrInvalidParams)
	case "host/Bad":
		w.Fail(jsonrpc.ErrMethodNotFound)
	case "Test.Code":
		code, _ := req.Arg(0).Int()
		w.Error(int(code), "as asked")
	case "Test.Panic":
		panic("boom")
	case "Test.Wait":
		<-ctx.Done()
		w.Fail(ctx.Err())
	case "Test.Slow":
		<-ctx.Done()
		time.Sleep(500 * time.Millisecond)
		w.Result([]byte(`"late"`))
	case "Test.Stubborn":
		r.blocked.Add(1)
		defer r.blocked.Add(-1)
		<-ctx.Done()
		time.Sleep(10 * time.Second)
	case "Test.Block":
		r.blocked.Add(1)
		defer r.blocked.Add(-1)
		select {
		case <-r.release:
		case <-ctx.Done():
		}
	case "Config.Set", "Config.Save":
		w.Result([]byte(`{"saved":true}`))
	}
}

// seen returns the calls that have been made, and forgets them.
func (r *rig) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// ask has the Service serve a frame, and returns the reply, "" for none.
func (r *rig) ask(t testing.TB, o *access.Origin, frame string) (reply string) {
	t.Helper()
	c := r.Accept(o, []byte(frame))
	if c == nil {
		return ""
	}
	writes := 0
	err := c.Serve(context.Background(), func(p []byte) error {
		writes++
		reply = string(p)
		return nil
	})
	if err != nil || writes > 1 {
		t.Errorf("%s: %d writes, error %v", frame, writes, err)
	}
	return reply
}

func hostOrigin() *access.Origin {
	return &access.Origin{Role: access.Host, Channel: access.UART, Remote: "UART0"}
}

func lanOrigin() *access.Origin {
	return &access.Origin{Role: access.LAN, Channel: access.HTTP, Remote: "192.0.2.7:4711"}
}

// serving runs a door until the test ends, and fails if it ends before.
func serving(t testing.TB, serve func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			t.Helper()
			select {
			case err := <-done:
				t.Errorf("the door has ended by itself: %v", err)
				cancel()
				return
			default:
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the door returned %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// listen returns a listener on the loopback interface.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := channel.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveHTTP opens an HTTP door and returns its address.
func (r *rig) serveHTTP(t testing.TB, cfg channel.HTTPConfig) (addr string, stop func()) {
	t.Helper()
	l := listen(t)
	web := channel.NewHTTP(r.Service, cfg)
	return l.Addr().String(), serving(t, func(ctx context.Context) error { return web.Serve(ctx, l) })
}

// dial connects to an address for the time of the test.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// response is what an HTTP server has answered.
type response struct {
	*http.Response
	body string
}

// readResponse reads an answer.
func readResponse(t testing.TB, br *bufio.Reader) response {
	t.Helper()
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("no response: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	return response{res, string(body)}
}

// post makes the text of a request. Headers are lines without line end.
func post(path, body string, headers ...string) string {
	return request("POST", path, body, headers...)
}

func request(method, path, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, path)
	host := false
	for _, h := range headers {
		b.WriteString(h + "\r\n")
		host = host || strings.HasPrefix(h, "Host:")
	}
	if !host {
		b.WriteString("Host: 127.0.0.1:8910\r\n")
	}
	if method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// roundTrip sends the text of a request on a new connection.
func roundTrip(t testing.TB, addr, text string) response {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return readResponse(t, bufio.NewReader(c))
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// authOf returns the member auth of a frame that answers a challenge, with MD5.
func authOf(t testing.TB, challenge, user, password string) string {
	t.Helper()
	var c struct {
		Type      string `json:"auth_type"`
		Nonce     json.Number
		Realm     string
		Algorithm string
	}
	if err := json.Unmarshal([]byte(challenge), &c); err != nil || c.Type != "digest" || c.Algorithm != "MD5" {
		t.Fatalf("challenge %q: %v", challenge, err)
	}
	const cnonce = "3042011586"
	return fmt.Sprintf(`{"realm":%q,"username":%q,"nonce":%s,"cnonce":%s,"algorithm":"MD5","response":%q}`, c.Realm, user, c.Nonce, cnonce,
		md5hex(md5hex(user+":"+c.Realm+":"+password)+":"+string(c.Nonce)+":1:"+cnonce+":auth:"+md5hex("dummy_method:dummy_uri")))
}

// authorization returns the header that answers a challenge, as mos writes it.
func authorization(t testing.TB, challenge, user, password, method, uri string) string {
	t.Helper()
	const cnonce = "447980082"
	fields := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(challenge, "Digest "), ", ") {
		k, v, _ := strings.Cut(part, "=")
		fields[k] = strings.Trim(v, `"`)
	}
	if fields["qop"] != "auth" || fields["algorithm"] != "MD5" || fields["nonce"] == "" {
		t.Fatalf("challenge %q", challenge)
	}
	response := md5hex(md5hex(user+":"+fields["realm"]+":"+password) + ":" + fields["nonce"] + ":00000001:" + cnonce + ":auth:" +
		md5hex(method+":"+uri))
	return fmt.Sprintf(`Authorization: Digest username=%q, realm=%q, uri=%q, algorithm=MD5, nonce=%q, nc=00000001, cnonce=%q, qop=auth, response=%q`,
		user, fields["realm"], uri, fields["nonce"], cnonce, response)
}

// errorOf returns the error of a reply.
func errorOf(t testing.TB, reply string) (code int, message string) {
	t.Helper()
	var f struct {
		Error struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal([]byte(reply), &f); err != nil {
		t.Fatalf("reply %q: %v", reply, err)
	}
	return f.Error.Code, f.Error.Message
}

// syncBuffer is a buffer for a log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// eventually waits for something that happens on other goroutines.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 2000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s: not in 10 s", what)
}
