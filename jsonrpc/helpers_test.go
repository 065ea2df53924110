package jsonrpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// full reports whether all counts are to be run.
func full() bool { return os.Getenv("CCMKIT_FULL") == "1" }

// heavy returns n in full runs, else a tenth of it; under the race detector,
// which is ten times slower, a tenth of that.
func heavy(n int) int {
	if !full() {
		n /= 10
	}
	if race.Enabled {
		n /= 10
	}
	return n
}

// manualFrames are the frames that the CCM manual prints, on either side of the
// line.
var manualFrames = []string{
	`{"id": 12007, "method": "Sum", "params": [2,3]}`,
	`{"id": 12008, "method": "This_Function_Does_Not_Exist", "params": true}`,
	`{"method": "Shadow.Delta", "params": {"on": true}}`,
	`{"method": "Shadow.Report", "params": {"on": true, "uptime": 132}}`,
	`{"method": "MQTT.Pub", "params": {"topic": "t1", "message": "hello", "qos": 1}}`,
	`{"method":"MQTT.Sub","params":{"topic":"t/#"}}`,
	`{"id": 1, "method": "RPC.List"}`,
	`{"id":1,"method": "Sys.Info"}`,
	`{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"sta":{"enable":true,"ssid":"NAME","pass":"PASS"}}}}}`,
	`{"id":2,"method":"Config.Save","params":{"reboot":true}}`,
}

// bare is a connection whose peer is played by the test, byte by byte. It is
// for use inside a synctest bubble.
type bare struct {
	t     testing.TB
	conn  *jsonrpc.Conn
	frame *framing.Conn
	end   *wire.End // the connection's
	peer  *wire.End // the test's
	ended chan error
	tail  []byte // read, but no line yet
	over  bool
}

func newBare(t testing.TB, w *wire.Options, f *framing.Options, o *jsonrpc.ConnOptions) *bare {
	t.Helper()
	b := &bare{t: t, ended: make(chan error, 1)}
	b.end, b.peer = wire.Pair(w)
	b.frame = framing.NewConn(b.end, f)
	b.conn = jsonrpc.NewConn(b.frame, o)
	go func() { b.ended <- b.conn.Run(t.Context()) }()
	return b
}

// close ends the connection and returns what Run returned.
func (b *bare) close() error {
	if b.over {
		return nil
	}
	b.over = true
	b.conn.Close()
	defer b.peer.Close()
	return <-b.ended
}

// send writes text and lets the connection work on it.
func (b *bare) send(text string) {
	b.t.Helper()
	if _, err := io.WriteString(b.peer, text); err != nil {
		b.t.Fatalf("send %q: %v", text, err)
	}
	synctest.Wait()
}

// lines returns the lines that the connection has written so far, without LF.
func (b *bare) lines() []string {
	b.t.Helper()
	synctest.Wait()
	buf := make([]byte, 64<<10)
	for {
		b.peer.SetReadDeadline(time.Now().Add(1))
		n, err := b.peer.Read(buf)
		if n == 0 || err != nil {
			break
		}
		b.tail = append(b.tail, buf[:n]...)
		synctest.Wait()
	}
	b.peer.SetReadDeadline(time.Time{})
	var out []string
	for {
		line, rest, found := bytes.Cut(b.tail, []byte("\n"))
		if !found {
			return out
		}
		out, b.tail = append(out, string(line)), rest
	}
}

// one returns the single line that the connection has written.
func (b *bare) one() string {
	b.t.Helper()
	l := b.lines()
	if len(l) != 1 {
		b.t.Fatalf("got %d lines %q, want one", len(l), l)
	}
	return l[0]
}

// want fails unless the connection has written exactly these lines.
func (b *bare) want(after string, lines ...string) {
	b.t.Helper()
	got := b.lines()
	if len(got) != len(lines) {
		b.t.Fatalf("after %q: got %q, want %q", after, got, lines)
	}
	for i := range got {
		if got[i] != lines[i] {
			b.t.Fatalf("after %q: line %d is %q, want %q", after, i, got[i], lines[i])
		}
	}
}

const (
	probe      = `{"id":424242,"method":"Sum","params":[1,1]}`
	probeReply = `{"id":424242,"result":2}`
)

// probe checks that the connection still answers.
func (b *bare) probe(after string) {
	b.t.Helper()
	b.send("\n" + probe + "\n")
	b.want(after, probeReply)
}

// reply is a decoded answer.
type reply struct {
	ID     json.RawMessage
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
}

func decodeReply(t testing.TB, line string) reply {
	t.Helper()
	var r reply
	d := json.NewDecoder(bytes.NewReader([]byte(line)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Errorf("reply %q: %v", line, err)
	}
	return r
}

// isCode reports whether err is an answer of the peer with that code.
func isCode(err error, code int) bool {
	e, is := errors.AsType[*jsonrpc.Error](err)
	return is && e.Code == code
}

// limited is a framer whose peer takes n bytes.
type limited struct {
	*framing.Conn
	n int
}

func (l limited) FrameLimit() int { return l.n }

// journal collects events.
type journal struct {
	mu   sync.Mutex
	kind map[jsonrpc.EventKind]int
}

func (j *journal) observe(e jsonrpc.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.kind == nil {
		j.kind = map[jsonrpc.EventKind]int{}
	}
	j.kind[e.Kind]++
}

// blockMux is sumMux with Block, which waits for the channel or the end of the
// connection.
func blockMux(until <-chan struct{}) *jsonrpc.Mux {
	m := sumMux()
	m.HandleFunc("Block", func(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
		select {
		case <-until:
		case <-ctx.Done():
		}
	})
	return m
}

func newFramer(p framing.Port) jsonrpc.Framer { return framing.NewConn(p, nil) }

// decodeReply2 decodes a line that may be a request.
func decodeReply2(line string) (r reply) {
	json.Unmarshal([]byte(line), &r)
	return r
}

// heavyCalls is how many calls test U5 makes: all of them in full runs, also
// under the race detector, which is what it is for.
func heavyCalls() int {
	if full() {
		return 1_000_000
	}
	return heavy(1_000_000)
}
