package jsonrpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// counting answers everything with null and counts.
func counting(n *atomic.Int64) jsonrpc.Handler {
	return jsonrpc.HandlerFunc(func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
		n.Add(1)
		w.Result(nil)
	})
}

// TestRow4Truncation: frames cut at every byte, with the line feed there: no
// handler runs, and what is answered names an id that arrived whole.
func TestRow4Truncation(t *testing.T) {
	frames := append([]string{
		`{"method":"Sum","params":[2,3],"id":12007}`, `{"method":"Sum","id":12007,"params":[2,3]}`,
		`{"method":"Sum","id":-1.25e3,"params":[2,3]}`, `{"method":"Sum","id":"12007","params":[2,3]}`,
		`{"method":"Sum","id":null,"params":[2,3]}`, `{"id":null,"method":"Sum","params":[2,3]}`,
		`{"id":1,"result":5}`, `{"result":5,"id":1}`, `{"id":1,"error":{"code":-1,"message":"m"}}`,
	}, manualFrames...)
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: counting(&ran)})
		cuts := 0
		for _, f := range frames {
			var whole struct{ ID json.RawMessage }
			json.Unmarshal([]byte(f), &whole)
			for n := 1; n < len(f); n++ {
				cuts++
				b.send(f[:n] + "\n")
				for _, l := range b.lines() {
					r := decodeReply(t, l)
					if r.Error == nil || r.Error.Code != jsonrpc.CodeParseError || string(r.ID) != string(whole.ID) || string(r.ID) == "null" {
						t.Errorf("%q answered by %q", f[:n], l)
					}
				}
			}
		}
		b.close()
		if ran.Load() != 0 {
			t.Errorf("%d handlers ran for %d truncated frames", ran.Load(), cuts)
		}
		t.Logf("%d truncated frames", cuts)
	})
}

// TestMalformedIsNotAnswered: faulty frames that must stay without an answer:
// responses, ids that are none, and numbers that may have been cut.
func TestMalformedIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: sumMux()})
		for _, f := range []string{
			`{"id":null,"method":"Sum","params":[1,}`, `{"id":null,"method":"Sum","method":"Sum"}`,
			`{"method":"Sum","id":null]`, `{"method":"Sum","id":12#07}`, `{"method":"Sum","id":12"}`,
			`{"id":1,"method":"Sum","result":1}`, `{"id":1,"result":1,"result":1}`, `{"id":1,"error":1,"method":"Sum","x":}`,
			`{"id":true,"method":"Sum"}`, `{"method":"Sum","params":[1,}`,
			`{"id":` + strings.Repeat("1", 65) + `,"method":"Sum"}`,
		} {
			b.send(f + "\n")
			b.want(f)
		}
		b.send(`{"method":"Sum","id":"12"#,"x":1}` + "\n")
		if r := decodeReply(t, b.one()); string(r.ID) != `"12"` || r.Error.Code != jsonrpc.CodeParseError {
			t.Errorf("a whole string id: %+v", r)
		}
		b.close()
	})
}

// TestRow5Merged: all pairs of the manual's frames on one line, with and
// without CRC: both are handled, in order, with a reply line each.
func TestRow5Merged(t *testing.T) {
	for name, o := range map[string]*framing.Options{"plain": nil, "crc": {CRC: framing.CRCSend, RequireCRC: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log []string
				spy := jsonrpc.HandlerFunc(func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
					log = append(log, string(r.Frame()))
					w.Resultf("%d", len(log))
				})
				b := newBare(t, nil, o, &jsonrpc.ConnOptions{Handler: spy, NoReplyCache: true})
				wrap := func(s string) string { return s }
				if o != nil {
					wrap = func(s string) string { return string(framing.AppendCRC([]byte(s), []byte(s))) }
				}
				pairs := 0
				for _, one := range manualFrames {
					for _, two := range manualFrames {
						log = nil
						b.send(wrap(one) + wrap(two) + "\n")
						if len(log) != 2 || log[0] != one || log[1] != two {
							t.Fatalf("%s then %s: handled %q", one, two, log)
						}
						var want []string
						for i, f := range []string{one, two} {
							var m struct{ ID json.RawMessage }
							json.Unmarshal([]byte(f), &m)
							if m.ID != nil {
								want = append(want, wrap(fmt.Sprintf(`{"id":%s,"result":%d}`, m.ID, i+1)))
							}
						}
						b.want(one+two, want...)
						pairs++
					}
				}
				if s := b.conn.Stats(); s.Merged != uint64(pairs) || s.Malformed != 0 {
					t.Errorf("merged %d of %d lines, malformed %d", s.Merged, pairs, s.Malformed)
				}
				// All or nothing: one bad object spoils the line.
				log = nil
				for _, bad := range []string{`{"id":1}`, `{"id":1,"method":"a","id":2}`, `{"id":1,"method":"a"`, `x`, `{"id":1,"method":"\x"}`} {
					b.send(wrap(manualFrames[0]) + wrap(bad) + "\n")
					b.send(wrap(bad) + wrap(manualFrames[0]) + "\n")
				}
				if len(log) != 0 {
					t.Errorf("handled %q beside bad objects", log)
				}
				b.close()
			})
		})
	}
}

// lossy is a framer that loses frames it should write.
type lossy struct {
	*framing.Conn
	lose func(frame []byte) bool
}

func (l lossy) WriteFrame(frame []byte) error {
	if l.lose(frame) {
		return nil
	}
	return l.Conn.WriteFrame(frame)
}

// joined runs two connections over framers made from the ends of a line.
func joined(t testing.TB, w *wire.Options, fa, fb func(*framing.Conn) jsonrpc.Framer, a, b *jsonrpc.ConnOptions) *link {
	t.Helper()
	plain := func(c *framing.Conn) jsonrpc.Framer { return c }
	if fa == nil {
		fa = plain
	}
	if fb == nil {
		fb = plain
	}
	l := &link{errA: make(chan error, 1), errB: make(chan error, 1)}
	l.endA, l.endB = wire.Pair(w)
	l.a = jsonrpc.NewConn(fa(framing.NewConn(l.endA, nil)), a)
	l.b = jsonrpc.NewConn(fb(framing.NewConn(l.endB, nil)), b)
	go func() { l.errA <- l.a.Run(t.Context()) }()
	go func() { l.errB <- l.b.Run(t.Context()) }()
	t.Cleanup(l.close)
	return l
}

// TestRow10LostReply: every reply is lost once, the calls are sent again; the
// side effects happened once each and the results are the first ones.
func TestRow10LostReply(t *testing.T) {
	for _, slow := range []time.Duration{0, 2500 * time.Millisecond} { // with slow handlers retries join a running call
		synctest.Test(t, func(t *testing.T) {
			lost := map[string]bool{}
			lose := func(c *framing.Conn) jsonrpc.Framer {
				return lossy{c, func(frame []byte) bool {
					if lost[string(frame)] {
						return false
					}
					lost[string(frame)] = true
					return true
				}}
			}
			var effects atomic.Int64
			var mux jsonrpc.Mux
			mux.Handle("Add", jsonrpc.In(jsonrpc.Beside, jsonrpc.HandlerFunc(func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
				n := effects.Add(1)
				time.Sleep(slow)
				if n%5 == 0 {
					w.Error(7, string(r.Params()))
					return
				}
				w.Resultf("[%s,%d]", r.Params(), n)
			})))
			l := joined(t, nil, nil, lose, &jsonrpc.ConnOptions{Retries: 5}, &jsonrpc.ConnOptions{Handler: &mux})
			const calls = 200
			for i := range calls {
				got, err := l.a.Call(t.Context(), nil, "Add", "%d", i)
				if want := fmt.Sprintf("[%d,%d]", i, i+1); (i+1)%5 != 0 && (err != nil || string(got) != want) || (i+1)%5 == 0 && !isCode(err, 7) {
					t.Fatalf("call %d: %s, %v; want %s", i, got, err, want)
				}
			}
			if effects.Load() != calls || len(lost) != calls {
				t.Errorf("%d side effects, %d lost replies, for %d calls", effects.Load(), len(lost), calls)
			}
			s := l.b.Stats()
			if s.Replayed < calls || slow > 0 && s.Joined < calls {
				t.Errorf("replayed %d, joined %d", s.Replayed, s.Joined)
			}
			l.close()
		})
	}
}

// TestRow11LateReplies: replies that come after their call has ended, twice, or
// for calls that never were fit nothing.
func TestRow11LateReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{FirstID: 100, CallTimeout: time.Second})
		call := func() chan string {
			ch := make(chan string, 1)
			go func() {
				got, err := b.conn.Call(t.Context(), nil, "M", "")
				ch <- fmt.Sprint(string(got), " ", err)
			}()
			synctest.Wait()
			b.one()
			return ch
		}
		first := call() // id 100
		time.Sleep(2 * time.Second)
		if got := <-first; got != " "+jsonrpc.ErrTimeout.Error() {
			t.Errorf("unanswered: %s", got)
		}
		second := call() // id 101
		for i, wrong := range []string{
			`{"id":100,"result":"late"}`, `{"id":102,"result":"foreign"}`, `{"id":"101","result":"string"}`,
			`{"id":101.0,"result":"fraction"}`, `{"id":1.01e2,"result":"exponent"}`, `{"id":"\u0031\u0030\u0031","result":1}`,
			`{"id":-101,"result":1}`, `{"id":18446744073709551717,"result":"wraps to 101"}`, `{"id":null,"result":1}`, `{"result":1}`,
			`{"id":100,"error":{"code":1}}`, `{"id":165,"result":"same slot"}`, `{"id":37,"result":"same slot"}`,
		} {
			b.send(wrong + "\n")
			b.want(wrong)
			select {
			case got := <-second:
				t.Fatalf("%s ended the call: %s", wrong, got)
			default:
			}
			if s := b.conn.Stats(); s.Orphans != uint64(i+1) {
				t.Errorf("%s: %d orphans, want %d", wrong, s.Orphans, i+1)
			}
		}
		b.send(`{"id":101,"result":"right"}` + "\n")
		if got := <-second; got != `"right" <nil>` {
			t.Errorf("got %s", got)
		}
		b.send(`{"id":101,"result":"double"}` + "\n")
		third := call()
		b.send(`{"id":101,"error":{"code":1}}{"id":102,"result":3}` + "\n")
		if got := <-third; got != "3 <nil>" {
			t.Errorf("got %s", got)
		}
		b.close()
	})
}

// TestRow12Deadlock: handlers call back and forth to depth 3 from both sides
// at once, many at a time, in the ordered lane.
func TestRow12Deadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *link
		var muxA, muxB jsonrpc.Mux
		deep := func(peer func() *jsonrpc.Conn) jsonrpc.HandlerFunc {
			return func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
				n, _ := r.Arg(0).Int()
				who := string(r.Arg(1).Raw)
				if n == 0 {
					w.Resultf("%s", who)
					return
				}
				res, err := peer().Call(ctx, nil, "Deep", "[%d,%s]", n-1, who)
				if err != nil {
					w.Fail(err)
					return
				}
				w.Result(res)
			}
		}
		muxA.Handle("Deep", deep(func() *jsonrpc.Conn { return l.a }))
		muxB.Handle("Deep", deep(func() *jsonrpc.Conn { return l.b }))
		o := jsonrpc.ConnOptions{MaxInFlight: 64}
		oa, ob := o, o
		oa.Handler, ob.Handler = &muxA, &muxB
		l = newLink(t, t.Context(), &wire.Options{Baud: 115200}, nil, &oa, &ob)
		synctest.Wait()
		var wg sync.WaitGroup
		for i := range 5 {
			for side, c := range []*jsonrpc.Conn{l.a, l.b} {
				wg.Go(func() {
					who := fmt.Sprint(i*2 + side)
					if got, err := c.Call(t.Context(), nil, "Deep", "[3,%s]", who); err != nil || string(got) != who {
						t.Errorf("%s: %s, %v", who, got, err)
					}
				})
			}
		}
		wg.Wait()
		l.close()
	})
}

// TestRow17: an error that was answered is not retried; silence is.
func TestRow17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		mux := sumMux()
		mux.HandleFunc("No", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			ran.Add(1)
			w.Fail(jsonrpc.ErrBusy)
		})
		l := newLink(t, t.Context(), nil, nil, &jsonrpc.ConnOptions{Retries: 3}, &jsonrpc.ConnOptions{Handler: mux})
		start := time.Now()
		if _, err := l.a.Call(t.Context(), nil, "No", ""); !isCode(err, jsonrpc.CodeBusy) {
			t.Errorf("No: %v", err)
		}
		if _, err := l.a.Call(t.Context(), nil, "Unknown", ""); !isCode(err, jsonrpc.CodeMethodNotFound) {
			t.Errorf("Unknown: %v", err)
		}
		s := l.a.Stats()
		if ran.Load() != 1 || s.Retried != 0 || s.Sent != 2 || time.Since(start) != 0 {
			t.Errorf("ran %d, %+v, %v", ran.Load(), s, time.Since(start))
		}
		l.close()

		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Retries: 3, RetryAfter: 2 * time.Second, FirstID: 5})
		start = time.Now()
		if _, err := b.conn.Call(t.Context(), nil, "M", "[%d]", 1); err != jsonrpc.ErrTimeout || time.Since(start) != 10*time.Second {
			t.Errorf("silence: %v after %v", err, time.Since(start))
		}
		f := `{"id":5,"method":"M","params":[1]}`
		b.want("silence", f, f, f, f)
		if s := b.conn.Stats(); s.Retried != 3 || s.TimedOut != 1 {
			t.Errorf("%+v", s)
		}
		b.close()
	})
}

// TestPingPong: a host of 2018 answers every error frame, even a reply, by an
// id-less -32700 that quotes it. Nothing may be sent in answer to that, and the
// quotes are known as such.
func TestPingPong(t *testing.T) {
	for _, crc := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := &framing.Options{MaxWrite: 200}
			if crc {
				o.CRC = framing.CRCSend
			}
			release := make(chan struct{})
			b := newBare(t, nil, o, &jsonrpc.ConnOptions{Handler: blockMux(release), QueueLen: 1})
			echoes := 0
			host := func() {
				for range 10 {
					for _, l := range b.lines() {
						if strings.Contains(l, `"error"`) {
							echoes++
							q := mjson.AppendQuote(nil, l)
							b.send(`{"error":{"code":-32700,"message":` + string(q) + "}}\n")
						}
					}
				}
			}
			for i, f := range []string{
				`{"id":1,"method":"Nope"}`, `{"id":2,"method":"Fail"}`, `{"id":3,"method":"Panic"}`, `{"id":4,"method":"Sum"}`,
				`{"id":5,"method":"Sum","method":"Sum"}`, `{"id":6,"method":"Sum","params":[1,}`,
				`{"id":7,"method":"Block"}` + "\n" + `{"id":8,"method":"Block"}` + "\n" + `{"id":9,"method":"Block"}`, // the third finds the queue full
				`{"error":{"code":-32700,"message":"{\"id\":1"}}`,                                                     // not ours: a complaint
				`{"id":1,"method":"Nope"}`, // a retry, answered from the cache
				`{"id":10,"method":"a"}{"id":11,"method":"b"}` + "\n" + `{"id":12,"method":"c"}`, // several on their way
				`{"id":13,"method":"Echo","params":"` + strings.Repeat("x", 200) + `"}`,          // the reply is too long
			} {
				b.send(f + "\n")
				host()
				if i == 6 {
					close(release)
					host()
				}
			}
			if s := b.conn.Stats(); s.Echoes != uint64(echoes) || s.Complaints != 1 || echoes != 12 {
				t.Errorf("crc %v: %d echoes sent, %d recognised, %d complaints", crc, echoes, s.Echoes, s.Complaints)
			}
			b.close()
		})
	}
}

// TestIDs: ids come back byte for byte; requests with other ids are refused.
func TestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: sumMux()})
		for _, id := range []string{
			`0`, `-0`, `1.0`, `1e5`, `9007199254740993`, `123456789012345678901234567890`, `1e-2147483647`, `""`, `"1"`, `"é"`,
			`"\u00e9\/\n"`, `"` + strings.Repeat("x", 62) + `"`,
		} {
			b.send(`{"id":` + id + `,"method":"Sum","params":[1,2]}` + "\n")
			b.want(id, `{"id":`+id+`,"result":3}`)
		}
		for _, id := range []string{`null`, `true`, `false`, `[]`, `{}`, `[1]`, `"` + strings.Repeat("x", 63) + `"`} {
			b.send(`{"id":` + id + `,"method":"Sum","params":[1,2]}` + "\n")
			b.want(id)
		}
		b.send(`[{"id":1,"method":"Sum","params":[1,2]}]` + "\n")
		b.want("a batch")
		b.close()
	})
}
