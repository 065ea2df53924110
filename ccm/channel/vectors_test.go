package channel_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// transcript is a recorded run of the mos tool. What the recorded device answered
// becomes the answers of the toy methods; the envelopes are ours.
type transcript struct {
	name, password string
	rows           []transcriptRow
	replies        map[string]recorded // by id
	login          bool                // the device asked for a login
}

type transcriptRow struct {
	Cmd, Ch, Dir, Raw, Hex, Topic string
	Abridged                      string `json:"raw_abridged"`
}

// recorded is a recorded answer: a result or an error.
type recorded struct {
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
}

var (
	anyID    = regexp.MustCompile(`"id":"?([0-9]+)`)
	anyFrame = regexp.MustCompile(`\{.*\}`)
	creds    = regexp.MustCompile(`--rpc-creds admin:(\w+)`)
)

// replay runs check on every transcript that matches the pattern, with a rig that
// answers as the recorded device, and accounts for every row: check returns how
// many rows it has used.
func replay(t *testing.T, pattern string, check func(t *testing.T, r *rig, tr *transcript) int) {
	for _, file := range vectors.Files(t, pattern) {
		lines := vectors.Lines(t, file)
		tr := &transcript{name: strings.TrimSuffix(filepath.Base(file), ".jsonl"), replies: map[string]recorded{}}
		for i, line := range lines {
			var row transcriptRow
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatalf("%s:%d: %v", file, i+1, err)
			}
			if i == 0 {
				if m := creds.FindStringSubmatch(row.Cmd); m != nil {
					tr.password = m[1]
				}
				continue
			}
			tr.rows = append(tr.rows, row)
			tr.record(row)
		}
		if len(tr.rows) < 2 {
			t.Fatalf("%s: %d rows", file, len(tr.rows))
		}
		t.Run(tr.name, func(t *testing.T) {
			r := newRig(t, func(c *channel.Config) { c.MaxFrame = 8192 }) // some put more than 4096 bytes
			r.auth.Store(tr.login)
			r.answer = tr.answer
			ran := check(t, r, tr)
			t.Logf("%s: %d of %d rows", filepath.Base(file), ran, len(tr.rows))
			if ran != len(tr.rows) {
				t.Errorf("%s: ran %d of %d rows", file, ran, len(tr.rows))
			}
		})
	}
}

// record keeps what a row says that the device answered.
func (tr *transcript) record(row transcriptRow) {
	if row.Dir != "dev>mos" {
		return
	}
	if strings.Contains(row.Raw, "401 Unauthorized") {
		tr.login = true
	}
	text := row.Raw + row.Abridged
	id := anyID.FindStringSubmatch(text)
	if id == nil {
		return
	}
	var a recorded
	if row.Abridged != "" || json.Unmarshal(anyFrame.Find([]byte(row.Raw)), &a) != nil {
		a = recorded{Result: json.RawMessage(`"abridged"`)}
	}
	if a.Error != nil && a.Error.Code == 401 {
		tr.login = true
		return // the login comes before the handler
	}
	tr.replies[id[1]] = a
}

// answer is the toy method.
func (tr *transcript) answer(w *jsonrpc.Response, r *jsonrpc.Request) bool {
	switch a := tr.replies[string(r.ID())]; {
	case a.Error != nil:
		w.Error(a.Error.Code, a.Error.Message)
	default:
		w.Result(a.Result)
	}
	return true
}

// reply returns the reply that a frame must get.
func (tr *transcript) reply(t *testing.T, frame string) string {
	t.Helper()
	var f struct {
		Src string
		ID  json.RawMessage
	}
	if err := json.Unmarshal([]byte(frame), &f); err != nil {
		t.Fatalf("frame %q: %v", frame, err)
	}
	if f.ID == nil {
		return ""
	}
	head := fmt.Sprintf(`{"id":%s,"src":"ccm_A1B2C3","dst":%q,`, f.ID, f.Src)
	a := tr.replies[string(f.ID)]
	if a.Error != nil {
		message, _ := json.Marshal(a.Error.Message)
		return fmt.Sprintf(`%s"error":{"code":%d,"message":%s}}`, head, a.Error.Code, message)
	}
	if len(a.Result) == 0 {
		a.Result = json.RawMessage("null")
	}
	return fmt.Sprintf(`%s"result":%s}`, head, a.Result)
}

// TestVectorsWebsocket replays all runs over a websocket.
func TestVectorsWebsocket(t *testing.T) {
	replay(t, "mos/ws-*.jsonl", func(t *testing.T, r *rig, tr *transcript) (ran int) {
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		ws := dialSocket(t, "ws://"+addr+"/rpc")
		var challenge string
		for _, row := range tr.rows {
			ran++
			if row.Ch != "ws" || row.Dir != "mos>dev" {
				if row.Ch == "tcp-raw" && row.Dir == "mos>dev" && row.Raw != "" {
					ran += tr.rawSocket(t, addr)
				}
				continue
			}
			frame := row.Raw
			if i := strings.Index(frame, `,"auth":`); i > 0 {
				frame = frame[:i] + `,"auth":` + authOf(t, challenge, "admin", tr.password) + "}\n"
			}
			send(t, ws, frame)
			want := tr.reply(t, frame)
			if want == "" {
				continue
			}
			got := receive(t, ws)
			if tr.login && (challenge == "" || tr.password == "wrong") {
				var code int
				if code, challenge = errorOf(t, got); code != 401 {
					t.Errorf("%s: %s", frame, got)
				}
				continue
			}
			if got != want {
				t.Errorf("%s\n got %s\nwant %s", frame, got, want)
			}
		}
		ws.Close(websocket.StatusNormalClosure, "")
		return ran
	})
}

// rawSocket replays the recorded bytes of a websocket: the handshake, a frame and
// the farewell. It returns 0: the rows are counted where they stand.
func (tr *transcript) rawSocket(t *testing.T, addr string) int {
	c := dial(t, addr)
	br := bufio.NewReader(c)
	for _, row := range tr.rows {
		if row.Ch != "tcp-raw" {
			continue
		}
		raw := []byte(row.Raw)
		if row.Hex != "" {
			raw, _ = hex.DecodeString(row.Hex)
		}
		switch {
		case row.Dir == "mos>dev":
			if _, err := c.Write(raw); err != nil {
				t.Fatal(err)
			}
		case row.Dir == "dev>mos" && row.Raw != "":
			res := readResponse(t, br)
			for _, h := range []string{"Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"} {
				if want := regexp.MustCompile(h + ": (.*)\r").FindStringSubmatch(row.Raw)[1]; res.Header.Get(h) != want {
					t.Errorf("%s: %q, want %q", h, res.Header.Get(h), want)
				}
			}
		case row.Dir == "dev>mos":
			got := make([]byte, len(raw))
			if _, err := io.ReadFull(br, got); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%v, got\n%q\nwant\n%q", err, got, raw)
			}
		}
	}
	farewell := make([]byte, 16)
	if n, _ := io.ReadFull(br, farewell); string(farewell[:n]) != "\x88\x02\x03\xe8" {
		t.Errorf("farewell %q", farewell[:n])
	}
	return 0
}

// TestVectorsHTTP replays the runs over HTTP, byte for byte what mos sent.
func TestVectorsHTTP(t *testing.T) {
	replay(t, "mos/http-*.jsonl", func(t *testing.T, r *rig, tr *transcript) (ran int) {
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		var c net.Conn
		var challenge string
		for _, row := range tr.rows {
			ran++
			switch row.Dir {
			case "accept":
				c = dial(t, addr)
			case "mos>dev":
				text := row.Raw
				if strings.Contains(text, "Authorization:") {
					text = regexp.MustCompile(`Authorization: .*`).ReplaceAllLiteralString(text,
						authorization(t, challenge, "admin", tr.password, "POST", "/rpc")+"\r")
				}
				io.WriteString(c, text)
				res := readResponse(t, bufio.NewReader(c))
				if tr.login && challenge == "" {
					challenge = res.Header.Get("WWW-Authenticate")
					form := regexp.MustCompile(`^Digest qop="auth", realm="RPC", nonce="[0-9a-f]+", algorithm=MD5$`)
					if res.StatusCode != 401 || res.body != "" || !form.MatchString(challenge) {
						t.Errorf("status %d, challenge %q, body %q", res.StatusCode, challenge, res.body)
					}
					continue
				}
				_, body, _ := strings.Cut(text, "\r\n\r\n")
				want := tr.reply(t, body) + "\r\n"
				if res.StatusCode != 200 || res.body != want || res.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s\n got %d %s\nwant %s", text, res.StatusCode, res.body, want)
				}
			}
		}
		return ran
	})
}

// TestVectorsTCP replays the runs over TCP.
func TestVectorsTCP(t *testing.T) {
	replay(t, "mos/tcp-*.jsonl", func(t *testing.T, r *rig, tr *transcript) (ran int) {
		l := listen(t)
		serving(t, func(ctx context.Context) error {
			return channel.ServeTCP(ctx, r.Service, l, channel.TCPConfig{Role: access.LAN})
		})
		c := dial(t, l.Addr().String())
		for _, row := range tr.rows {
			ran++
			if row.Dir == "mos>dev" {
				io.WriteString(c, row.Raw)
				continue
			}
			got := make([]byte, len(row.Raw))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != row.Raw {
				t.Errorf("%v, got\n%q\nwant\n%q", err, got, row.Raw)
			}
		}
		return ran
	})
}

// TestVectorsUDP replays the runs over UDP.
func TestVectorsUDP(t *testing.T) {
	replay(t, "mos/udp-*.jsonl", func(t *testing.T, r *rig, tr *transcript) (ran int) {
		addr := serveUDP(t, r)
		c, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		for _, row := range tr.rows {
			ran++
			if row.Dir == "mos>dev" {
				io.WriteString(c, row.Raw)
				continue
			}
			got := make([]byte, 65536)
			if n, err := c.Read(got); err != nil || string(got[:n]) != row.Raw {
				t.Errorf("%v, got\n%q\nwant\n%q", err, got[:n], row.Raw)
			}
		}
		return ran
	})
}

// TestVectorsMQTT replays the frames that came over MQTT.
func TestVectorsMQTT(t *testing.T) {
	replay(t, "mos/mqtt-*.jsonl", func(t *testing.T, r *rig, tr *transcript) (ran int) {
		o := &access.Origin{Role: access.Cloud, Channel: access.MQTT}
		for _, row := range tr.rows {
			ran++
			if row.Dir != "mos>dev" {
				continue
			}
			c, err := r.Take(o, channel.Frame{Text: []byte(row.Raw), Source: func(string) error { return nil }})
			if err != nil {
				t.Fatal(err)
			}
			if c.Source() == "" || !strings.HasPrefix(c.Source(), "ccm_A1B2C3/rpc-resp/mos-") {
				t.Errorf("source %q", c.Source())
			}
			c.Serve(t.Context(), func(p []byte) error {
				if want := tr.reply(t, row.Raw); string(p) != want {
					t.Errorf("%s\n got %s\nwant %s", row.Raw, p, want)
				}
				return nil
			})
		}
		return ran
	})
}

// TestVectorsSerial replays what mos sent on serial lines, the handshake in front
// of every request included. Once mos has shown both, replies have quotation
// marks and a CRC.
func TestVectorsSerial(t *testing.T) {
	replay(t, "mos/serial-*.jsonl", func(t *testing.T, r *rig, tr *transcript) (ran int) {
		synctest.Test(t, func(t *testing.T) {
			near, far := wire.Pair(nil)
			stop := serving(t, func(ctx context.Context) error {
				channel.ServeSerial(ctx, r.Service, channel.SerialConfig{Open: func(context.Context) (framing.Port, error) { return near, nil }})
				return nil
			})
			defer stop()
			var sent strings.Builder
			for _, row := range tr.rows {
				ran++
				if row.Dir == "mos>dev" {
					sent.WriteString(row.Raw)
					far.Write([]byte(row.Raw))
					time.Sleep(100 * time.Millisecond)
				}
			}
			synctest.Wait()
			buf := make([]byte, 1<<20)
			n, _ := far.Read(buf)
			got := string(buf[:n])
			const handshake = `"""` + "\x04" + `"""`
			if want := strings.Count(sent.String(), handshake); strings.Count(got, handshake) != want {
				t.Errorf("%d handshakes answered, want %d", strings.Count(got, handshake), want)
			}
			for _, m := range regexp.MustCompile(`"""(\{.*\})[0-9a-f]{8}"""`).FindAllStringSubmatch(sent.String(), -1) {
				reply := tr.reply(t, m[1])
				framed := "\n\"\"\"" + reply + string(framing.AppendCRC(nil, []byte(reply))) + "\"\"\"\n"
				before, after, found := strings.Cut(got, framed)
				if !found {
					t.Errorf("%s: no reply %q in %q", m[1], framed, got)
				}
				got = before + after
			}
			if rest := strings.Trim(strings.ReplaceAll(got, handshake, ""), "\n"); rest != "" {
				t.Errorf("also sent %q", rest)
			}
		})
		return ran
	})
}

// dialSocket opens a websocket as mos does.
func dialSocket(t testing.TB, url string, options ...func(*websocket.DialOptions)) *websocket.Conn {
	t.Helper()
	o := &websocket.DialOptions{
		Subprotocols: []string{"clubby.cesanta.com"},
		HTTPHeader:   map[string][]string{"Origin": {"https://api.cesanta.com/"}},
	}
	for _, f := range options {
		f(o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

func send(t testing.TB, ws *websocket.Conn, frame string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, ws *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	kind, p, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if kind != websocket.MessageText {
		t.Errorf("message of kind %v", kind)
	}
	return string(p)
}

// serveUDP opens a UDP door and returns its address.
func serveUDP(t testing.TB, r *rig) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving(t, func(ctx context.Context) error {
		return channel.ServeUDP(ctx, r.Service, pc, channel.UDPConfig{Role: access.LAN})
	})
	return pc.LocalAddr().String()
}
