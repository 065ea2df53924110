package ccm_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// The tests named TestRow are the rows of section 3 of the acceptance demands.
// Where the rulings settle a row in another way than the table, they hold, and the
// comment says which.

// hostFrames are the frames that the CCM manual prints for hosts.
var hostFrames = []string{
	`{"method": "MQTT.Pub", "params": {"topic": "t1", "message": "hello"}}`,
	`{"method":"MQTT.Pub","params":{"topic":"t1","message":"hello","qos":1}}`,
	`{"method":"MQTT.Sub","params":{"topic":"t/#"}}`,
	`{"method": "Shadow.Report", "params": {"on": true, "uptime": 132}}`,
	`{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"sta":{"enable":true,"ssid":"NAME","pass":"PASS"}}}}}`,
	`{"id":2,"method":"Config.Save","params":{"reboot":true}}`,
}

// spy is a module that notes what a host asks of it, and answers null.
type spy struct {
	*hand
	rig *rig

	mu  sync.Mutex
	ran []string // method and params
}

func newSpy(t testing.TB, cfg func(*ccm.HostConfig)) *spy {
	t.Helper()
	s := &spy{hand: newHand(t, ccmtest.Line{Trace: -1})}
	h := s.config("")
	if cfg != nil {
		cfg(&h)
	}
	s.rig = up(t, ccm.Config{Hosts: []ccm.HostConfig{h}})
	s.rig.module.HandleFunc("#", func(_ context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ran = append(s.ran, string(r.Method())+" "+string(r.Params()))
	})
	s.got()
	return s
}

// done waits and returns what has run since it was called last.
func (s *spy) done() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	ran := s.ran
	s.ran = nil
	return ran
}

// what is the entry of a spy for a frame.
func what(frame string) string {
	var m jsonrpc.Message
	if err := jsonrpc.Parse([]byte(frame), &m); err != nil {
		return err.Error()
	}
	return string(m.Method()) + " " + string(m.Params())
}

// answerTo is the answer of a spy's module to a frame, nothing or one line.
func answerTo(frame string) []string {
	if id := mjson.Find([]byte(frame), "$.id"); id.Exists() {
		return []string{fmt.Sprintf(`{"id":%s,"result":null}`, id.Raw)}
	}
	return nil
}

// TestRow1: hosts lose the first bytes after a reset, and the module has messages
// for them all the time. They are found within five seconds, and no message that
// came after the reset had begun is lost. (Rulings A8 has the numbers.)
func TestRow1(t *testing.T) {
	for k := 0; k <= 400; k += 400 / max(heavy(400), 10) {
		synctest.Test(t, func(t *testing.T) {
			b := newBroker(t, ccmtest.BrokerOptions{})
			s := newStation(ccmtest.Line{Baud: 115200, Trace: -1}, ccmtest.MCUOptions{
				Generation: ccmtest.Generations()[k%4], BootTime: 150 * time.Millisecond, DropFirst: k,
			})
			s.mcu.HandleFunc("MQTT.Message", nothing)
			cfg := s.config("")
			cfg.Reset = func(ctx context.Context) error {
				s.mcu.Hold(true)
				time.Sleep(50 * time.Millisecond)
				s.mcu.Hold(false)
				return nil
			}
			begin := time.Now()
			r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}, Cloud: via(b)}, s)
			h := r.module.Host("")
			if d := time.Since(begin); d > 5*time.Second || h.Status().State != ccm.HostReady {
				t.Errorf("%d bytes lost: %v after %v", k, h.Status().State, d)
			}
			if _, err := s.mcu.Call(t.Context(), "MQTT.Sub", `{"topic":"t"}`); err != nil {
				t.Errorf("%d bytes lost: MQTT.Sub: %v", k, err)
			}
			time.Sleep(time.Second)
			r.work.Go(func() { h.Reset(t.Context()) })
			for i := range 40 {
				time.Sleep(10 * time.Millisecond)
				publish(t, b, "t", fmt.Sprint(i))
			}
			found(t, h)
			time.Sleep(5 * time.Second)
			var got []string
			for _, c := range s.mcu.Calls() {
				if c.Method == "MQTT.Message" {
					text, _ := mjson.Find([]byte(c.Params), "$.message").Text()
					got = append(got, text)
				}
			}
			if len(got) != 40 || !slices.IsSortedFunc(got, func(a, b string) int { return len(a) - len(b) }) || got[0] != "0" {
				t.Errorf("%d bytes lost: the host got the messages %q", k, got)
			}
		})
	}
}

// TestRow2: whatever text is on the line, nothing is sent in answer to it, and the
// frame on the next line counts. Text on the line of a frame spoils it, with CRC
// or without (rulings A2).
func TestRow2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpy(t, nil)
		r := rand.New(rand.NewPCG(2, 2))
		written := s.uart.Module().Stats().Written
		pieces := []string{"ets Jan  8 2013", "{", "}", `{"`, "[1,2", `"`, "\xff\xfe", "\x00", "\r", `{"method":`, "I (12) x: {a}", `{"error":{"code":-32700,"message":"x"}}`, `{"result":5}`}
		junk := func() string {
			var b strings.Builder
			for range 1 + r.IntN(6) {
				if r.IntN(3) == 0 {
					for range r.IntN(20) {
						b.WriteByte(byte(r.IntN(256)))
					}
				} else {
					b.WriteString(pieces[r.IntN(len(pieces))])
				}
			}
			return strings.ReplaceAll(b.String(), "\n", " ")
		}
		for range heavy(30_000) {
			frame := hostFrames[r.IntN(4)] // notifications
			s.send(junk() + "\n" + frame + "\n")
			if got := s.done(); !slices.Contains(got, what(frame)) || len(got) > 2 { // junk may hold a frame by chance
				t.Fatalf("after junk: %q", got)
			}
		}
		glued := 0
		for _, frame := range hostFrames[:4] {
			for _, text := range []string{"boot ", "x", "{", "[7] rst: "} {
				for _, line := range []string{text + frame, frame + text, text + string(framing.AppendCRC([]byte(frame), []byte(frame)))} {
					s.send(line + "\n")
					glued++
				}
			}
		}
		if got := s.done(); len(got) != 0 {
			t.Errorf("glued to text: %q", got)
		}
		if n := s.uart.Module().Stats().Written; n != written {
			t.Errorf("%d bytes sent in answer to junk: %q", n-written, s.got())
		}
		st := s.rig.module.Host("").Stats().Port
		t.Logf("%d lines with text, %+v", glued, st)
		if st.Line.Junk == 0 || st.RPC.Malformed == 0 {
			t.Errorf("not counted: %+v", st)
		}
	})
}

// TestRow3 cuts every frame at every byte, and leaves it at that: after a second
// the rest is dropped and counted, and the next frame counts.
func TestRow3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpy(t, nil)
		cuts := uint64(0)
		for _, f := range hostFrames {
			for n := 1; n < len(f); n++ {
				s.send(f[:n])
				time.Sleep(1001 * time.Millisecond)
				s.send(f + "\n")
				cuts++
				if got := s.done(); len(got) != 1 || got[0] != what(f) {
					t.Fatalf("after %q: ran %q", f[:n], got)
				}
				s.want(f[:n], answerTo(f)...)
				time.Sleep(11 * time.Second) // an id that comes again means another call then
			}
		}
		if got := s.rig.module.Host("").Stats().Port.Line; got.Dropped != cuts {
			t.Errorf("%d cuts, %+v", cuts, got)
		}
	})
}

// TestRow4 cuts every frame at every byte, and ends it with a line feed there: no
// handler runs, and an answer is an error to an id that had come whole.
func TestRow4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpy(t, nil)
		answered := 0
		for _, f := range hostFrames {
			for n := 1; n < len(f); n++ {
				s.send(f[:n] + "\n")
				for _, line := range s.got() {
					answered++
					id := mjson.Find([]byte(f), "$.id")
					if !id.Exists() || !strings.HasPrefix(line, fmt.Sprintf(`{"id":%s,"error":{"code":-32700,`, id.Raw)) || n < id.Offset+len(id.Raw) {
						t.Errorf("%q answered %q", f[:n], line)
					}
				}
			}
		}
		if got := s.done(); len(got) != 0 {
			t.Errorf("truncated frames ran: %q", got)
		}
		if answered == 0 {
			t.Error("no truncated call was answered")
		}
	})
}

// TestRow5 loses the line feed between all pairs of frames: both are handled, in
// order, with an answer each.
func TestRow5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpy(t, nil)
		pairs := uint64(0)
		for _, a := range hostFrames {
			for _, b := range hostFrames {
				if a == b && answerTo(a) != nil {
					continue // that is a call and its retry
				}
				s.send(a + b + "\n")
				pairs++
				if got := s.done(); len(got) != 2 || got[0] != what(a) || got[1] != what(b) {
					t.Fatalf("%s%s ran %q", a, b, got)
				}
				s.want(a+b, append(answerTo(a), answerTo(b)...)...)
				time.Sleep(11 * time.Second)
			}
		}
		if got := s.rig.module.Host("").Stats().Port.RPC.Merged; got != pairs {
			t.Errorf("%d merged, want %d", got, pairs)
		}
	})
}

// TestRow6 inverts each bit of each frame. With CRC suffixes, which rulings A2 has
// demanded by RequireCRC, no changed frame is accepted; without them many are.
func TestRow6(t *testing.T) {
	flip := func(t *testing.T, s *spy, suffix bool) (changed, flips int) {
		for _, f := range hostFrames {
			line := []byte(f)
			if suffix {
				line = framing.AppendCRC(line, line)
			}
			for i := range len(line) * 8 {
				bent := bytes.Clone(line)
				bent[i/8] ^= 1 << (i % 8)
				s.send(string(bent) + "\n")
				flips++
				for _, ran := range s.done() {
					if ran != what(f) {
						changed++
					}
				}
			}
		}
		return changed, flips
	}
	synctest.Test(t, func(t *testing.T) {
		s := newSpy(t, func(h *ccm.HostConfig) { h.RequireCRC, h.CRC = true, framing.CRCOff })
		changed, flips := flip(t, s, true)
		st := s.rig.module.Host("").Stats().Port.Line
		if changed != 0 || st.CRCErrors == 0 {
			t.Errorf("%d of %d flips were accepted changed; %+v", changed, flips, st)
		}
		s.send(hostFrames[0] + "\n") // without a suffix
		if got := s.done(); len(got) != 0 || s.rig.module.Host("").Stats().Port.Line.CRCNone <= st.CRCNone {
			t.Errorf("without a suffix %q ran", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newSpy(t, nil)
		changed, flips := flip(t, s, false)
		t.Logf("without CRC %d of %d flips were accepted changed", changed, flips)
		if changed*100 < flips*30 {
			t.Errorf("only %d of %d flips", changed, flips)
		}
	})
}
