package framing_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// full reports whether the heavy counts are asked for.
func full() bool { return os.Getenv("CCMKIT_FULL") == "1" }

// heavy returns n in full runs, else a tenth of it.
func heavy(n int) int {
	if full() {
		return n
	}
	return n / 10
}

// frames are the frames the manual of the original module prints.
var frames = []string{
	`{"method":"MQTT.Pub","params":{"topic":"t1","message":"hello","qos":1}}`,
	`{"method":"MQTT.Sub","params":{"topic":"t1/#"}}`,
	`{"method":"MQTT.Message","params":{"topic":"t1","message":"hi \"there\" } {"}}`,
	`{"method":"Shadow.Report","params":{"on":true,"temp":21.5}}`,
	`{"method":"Shadow.Delta","params":{"on":false}}`,
	`{"id":1,"method":"Sum","params":[2,3]}`,
	`{"id":1,"result":5}`,
	`{"id":1,"error":{"code":-32601,"message":"method not found"}}`,
	`{"method":"Config.Set","params":{"config":{"wifi":{"sta":{"enable":true,"ssid":"x","pass":"y"}}},"save":true}}`,
}

func withCRC(s string) string { return string(framing.AppendCRC([]byte(s), []byte(s))) }

// script is a port whose reads and writes are scripted: each Read takes the
// next step. After the last step Read gives io.EOF.
type script struct {
	mu        sync.Mutex
	steps     []step
	writes    [][]byte
	write     func(n int, p []byte) (int, error) // n counts from 0; nil = all is well
	deadlines []time.Time
	closed    chan struct{}
	once      sync.Once
}

type step struct {
	data string
	err  error
	wait time.Duration
}

func newScript(steps ...step) *script { return &script{steps: steps, closed: make(chan struct{})} }

func (s *script) Read(p []byte) (int, error) {
	s.mu.Lock()
	if len(s.steps) == 0 {
		s.mu.Unlock()
		return 0, io.EOF
	}
	st := &s.steps[0]
	wait := st.wait
	st.wait = 0
	s.mu.Unlock()
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-s.closed:
			return 0, errors.New("port closed")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := copy(p, st.data)
	if st.data = st.data[n:]; st.data != "" {
		return n, nil
	}
	err := st.err
	s.steps = s.steps[1:]
	return n, err
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, bytes.Clone(p))
	if s.write != nil {
		return s.write(len(s.writes)-1, p)
	}
	return len(p), nil
}

func (s *script) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlines = append(s.deadlines, t)
	return nil
}

func (s *script) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

// chunks makes a script that delivers text in pieces of up to n bytes.
func chunks(text string, n int) *script {
	s := newScript()
	for len(text) > 0 {
		k := min(n, len(text))
		s.steps = append(s.steps, step{data: text[:k]})
		text = text[k:]
	}
	return s
}

// readAll reads frames until the connection ends, which must be with io.EOF.
func readAll(t testing.TB, c interface{ ReadFrame() ([]byte, error) }) []string {
	t.Helper()
	var out []string
	for {
		f, err := c.ReadFrame()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("connection ended with %v", err)
			}
			return out
		}
		out = append(out, string(f))
	}
}

// same fails unless got equals want.
func same(t testing.TB, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d frames %q, want %d %q", len(got), got, len(want), want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("frame %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
