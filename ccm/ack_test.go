package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/framing"
)

// TestAckAfterFrames: with hosts on lines of different speeds, each message is
// acknowledged in the moment in which the last of its frames has left, and each
// host gets the messages of a topic in order.
func TestAckAfterFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAckRig(t, nil, 115200, 9600, 38400)
		random := rand.New(rand.NewPCG(7, 7))
		topics := []string{"all/x", "all/y/z", "only//1", "only/b/1", "only/c/1"}
		var payloads []string
		for i := range 100 {
			topic := topics[random.IntN(len(topics))]
			p := fmt.Sprintf("%03d %s %s", i, topic, strings.Repeat("*", random.IntN(100)))
			payloads = append(payloads, p)
			r.publish(topic, p)
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		var frames [][]sent
		last := map[string]time.Duration{} // when the last frame with a payload had left
		for i := range r.stations {
			frames = append(frames, r.frames(i))
			for _, f := range frames[i] {
				last[f.payload] = max(last[f.payload], f.at)
			}
		}
		for i, p := range payloads {
			if at := r.acked(p); at != last[p] {
				t.Errorf("message %d: acknowledged at %v, the last frame had left at %v", i, at, last[p])
			}
		}
		for i, list := range frames {
			var want []string
			for _, p := range payloads {
				if topic := strings.Fields(p)[1]; strings.HasPrefix(topic, "all/") || strings.HasPrefix(topic, "only/"+hostNameOf(i)+"/") {
					want = append(want, p)
				}
			}
			got := make([]string, len(list))
			for k, f := range list {
				got[k] = f.payload
			}
			if !slices.Equal(got, want) {
				t.Errorf("host %q got %d messages, want %d, or they are out of order", hostNameOf(i), len(got), len(want))
			}
		}
		if st := r.module.Stats(); st.Arrived != 100 || st.Undelivered+st.Overflow+st.Oversize+st.NotText != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestAckStuckHost: a line that takes nothing holds up the messages for its host,
// each until ten seconds after its arrival, and nobody else's.
func TestAckStuckHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAckRig(t, nil, 115200, 115200)
		r.stations[1].uart.Module().Stall(true)
		var came []time.Duration
		for i := range 12 {
			came = append(came, r.now())
			r.publish("all/x", fmt.Sprint("both ", i))
			r.publish("only/b/x", fmt.Sprint("stuck ", i))
			r.publish("only//x", fmt.Sprint("free ", i))
			time.Sleep(500 * time.Millisecond)
			for _, p := range []string{"both ", "free "} {
				if at := r.left(0, fmt.Sprint(p, i)); at < 0 || at > came[i]+50*time.Millisecond {
					t.Errorf("%s%d left for the other host at %v, it had come at %v", p, i, at, came[i])
				}
			}
			if at := r.acked(fmt.Sprint("free ", i)); at > came[i]+50*time.Millisecond {
				t.Errorf("free %d acknowledged at %v, it had come at %v", i, at, came[i])
			}
			r.unacked(fmt.Sprint("both ", i))
			r.unacked(fmt.Sprint("stuck ", i))
		}
		time.Sleep(20 * time.Second)
		for i := range 12 {
			for _, p := range []string{"both ", "stuck "} {
				if at := r.acked(fmt.Sprint(p, i)); at != came[i]+10*time.Second {
					t.Errorf("%s%d acknowledged at %v, it had come at %v", p, i, at, came[i])
				}
			}
		}
		st := r.module.Stats()
		if st.Undelivered != 24 || st.Delivered != 24 || st.Overflow != 0 {
			t.Errorf("%+v", st)
		}
		// Of what was given up, only the frame that is half written gets through.
		r.stations[1].uart.Module().Stall(false)
		r.publish("only/b/x", "fresh")
		time.Sleep(time.Second)
		if f := r.frames(1); len(f) != 2 || f[0].payload != "both 0" || f[1].payload != "fresh" {
			t.Errorf("the stuck host got %+v at last", f)
		}
	})
}

// TestAckFullQueue: a queue of 128 holds as many messages beside the one that is
// being written; more are dropped, and acknowledged at once.
func TestAckFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAckRig(t, nil, 115200, 115200)
		r.stations[1].uart.Module().Stall(true)
		came := r.now()
		const n = 200
		for i := range n {
			r.publish("only/b/x", fmt.Sprint("m", i))
		}
		for i := range n {
			if i < ccm.DefaultHostQueue+1 {
				r.unacked(fmt.Sprint("m", i))
			} else if at := r.acked(fmt.Sprint("m", i)); at != came {
				t.Errorf("message %d beyond the queue acknowledged at %v", i, at)
			}
		}
		r.publish("only//x", "free")
		time.Sleep(time.Second)
		r.acked("free")
		time.Sleep(10 * time.Second)
		for i := range ccm.DefaultHostQueue + 1 {
			if at := r.acked(fmt.Sprint("m", i)); at != came+10*time.Second {
				t.Errorf("message %d acknowledged at %v", i, at)
			}
		}
		st := r.module.Stats()
		if st.Overflow != n-ccm.DefaultHostQueue-1 || st.Undelivered != ccm.DefaultHostQueue+1 || st.Delivered != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestAckHostAway: messages for a host whose port is gone wait, at most for ten
// seconds. If it is back sooner, they are written and then acknowledged.
func TestAckHostAway(t *testing.T) {
	for _, back := range []time.Duration{5 * time.Second, time.Minute} {
		t.Run(back.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newAckRig(t, nil, 115200)
				u := r.stations[0].uart
				u.Module().Unplug()
				time.Sleep(time.Second)
				came := r.now()
				for i := range 3 {
					r.publish("all/x", fmt.Sprint("m", i))
				}
				time.Sleep(back)
				for i := range 3 {
					if p := fmt.Sprint("m", i); back < 10*time.Second {
						r.unacked(p)
					} else if at := r.acked(p); at != came+10*time.Second {
						t.Errorf("%s acknowledged at %v", p, at)
					}
				}
				u.Module().Plug()
				time.Sleep(10 * time.Second)
				for i := range 3 {
					p := fmt.Sprint("m", i)
					switch acked, left := r.acked(p), r.left(0, p); {
					case back > 10*time.Second && left >= 0:
						t.Errorf("%s left at %v, after it was given up", p, left)
					case back < 10*time.Second && acked != left:
						t.Errorf("%s left at %v, and was acknowledged at %v", p, left, acked)
					}
				}
			})
		})
	}
}

// TestAckLineBreaks: a port that fails in the middle of a frame is opened again,
// and the whole frame written; only then is the message acknowledged.
func TestAckLineBreaks(t *testing.T) {
	for _, tt := range []struct {
		name string
		port func(p framing.Port, bad *atomic.Bool) framing.Port
	}{
		{"unplugged", func(p framing.Port, _ *atomic.Bool) framing.Port { return p }},
		{"write fails", func(p framing.Port, bad *atomic.Bool) framing.Port { return &badPort{p, bad} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bad atomic.Bool
				r := newAckRig(t, func(cfg *ccm.Config) {
					open := cfg.Hosts[0].Open
					cfg.Hosts[0].Open = func(ctx context.Context) (framing.Port, error) {
						p, err := open(ctx)
						if err == nil {
							p = tt.port(p, &bad)
						}
						return p, err
					}
				}, 9600)
				u := r.stations[0].uart
				const n = 35
				for i := range n {
					p := fmt.Sprint("m", i)
					came := r.now()
					bad.Store(true)
					r.publish("all/x", p)
					time.Sleep(time.Duration(1+2*i) * time.Millisecond) // the frame takes 72 ms
					if tt.name == "unplugged" {
						u.Module().Unplug()
					}
					r.unacked(p)
					time.Sleep(time.Second)
					u.Module().Plug()
					found(t, r.module.Host(""))
					time.Sleep(time.Second)
					if left, acked := r.left(0, p), r.acked(p); left < came+100*time.Millisecond || acked != left {
						t.Errorf("%s came at %v, left at %v, and was acknowledged at %v", p, came, left, acked)
					}
				}
				if st := r.module.Stats(); st.Delivered != n || st.Undelivered != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// badPort is a port that reads, but whose next Write fails when bad is set.
type badPort struct {
	framing.Port
	bad *atomic.Bool
}

func (p *badPort) Write(b []byte) (int, error) {
	if !p.bad.Swap(false) {
		return p.Port.Write(b)
	}
	n, _ := p.Port.Write(b[:len(b)/2])
	return n, errors.New("no more bytes")
}

// TestAckHopeless: what no host can be told is acknowledged at once, counted and
// logged; a broker would send it again and again.
func TestAckHopeless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logbook
		r := newAckRig(t, func(cfg *ccm.Config) { cfg.Logger = log.logger() }, 115200, 115200)
		r.stations[1].uart.Module().Stall(true) // it plays no part
		long, binary := strings.Repeat("long ", 60), "\xff\xfe not text"
		for i, p := range []string{long, binary} {
			came := r.now()
			r.publish("only//x", p)
			if at := r.acked(p); at != came {
				t.Errorf("message %d acknowledged at %v, it had come at %v", i, at, came)
			}
		}
		// 255 bytes are the limit, the frame's own text included.
		frame := len(message("only//x", ""))
		fits, over := strings.Repeat("f", 255-frame), strings.Repeat("f", 256-frame)
		r.publish("only//x", fits)
		r.publish("only//x", over)
		time.Sleep(time.Second)
		if left := r.left(0, fits); left < 0 || r.acked(fits) != left {
			t.Errorf("a frame of 255 bytes left at %v", left)
		}
		if left := r.left(0, over); left >= 0 {
			t.Errorf("a frame of 256 bytes left at %v", left)
		}
		r.acked(over)
		if st := r.module.Stats(); st.Oversize != 2 || st.NotText != 1 || st.Delivered != 1 || st.Undelivered != 0 {
			t.Errorf("%+v", st)
		}
		log.want(t, "level=WARN", "not delivered", "only//x")
		log.want(t, "level=WARN", "not UTF-8", "only//x")
	})
}

// TestAckNoSubscriber: a session of the broker may bring messages that nobody in
// the module wants any more.
func TestAckNoSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		persistent := func(cfg *ccm.Config) { cfg.Cloud.PersistentSession = true }
		r := newAckRig(t, persistent, 115200)
		r.rig.stop()
		cfg := ccm.Config{Cloud: via(r.broker)}
		persistent(&cfg)
		again := up(t, cfg)
		came := r.now()
		r.publish("all/x", "for nobody")
		if at := r.acked("for nobody"); at != came {
			t.Errorf("acknowledged at %v, it had come at %v", at, came)
		}
		if st := again.module.Stats(); st.Arrived != 1 || st.Delivered+st.Undelivered != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestAckNotAtTheEnd: what a host had not got when the module was stopped is not
// acknowledged, and comes again if the broker keeps the session.
func TestAckNotAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		persistent := func(cfg *ccm.Config) { cfg.Cloud.PersistentSession = true }
		r := newAckRig(t, persistent, 115200)
		r.stations[0].uart.Module().Stall(true)
		for i := range 3 {
			r.publish("all/x", fmt.Sprint("m", i))
		}
		time.Sleep(5 * time.Second)
		r.rig.stop()
		for i := range 3 {
			r.unacked(fmt.Sprint("m", i))
		}
		cfg := ccm.Config{Cloud: via(r.broker)}
		persistent(&cfg)
		again, err := ccm.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		again.Subscribe(t.Context(), "all/#", 1, func(_ string, payload []byte) { got = append(got, string(payload)) })
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { again.Run(ctx) })
		time.Sleep(time.Second)
		cancel()
		work.Wait()
		if !slices.Equal(got, []string{"m0", "m1", "m2"}) {
			t.Errorf("the session brought %q", got)
		}
		for i := range 3 {
			r.acked(fmt.Sprint("m", i))
		}
	})
}

// TestAckAfterReconnect: when the connection breaks while a host is stuck, the
// broker sends again what was not acknowledged. It is acknowledged when the frame
// of the second arrival has left; the first one has nobody to tell any more.
func TestAckAfterReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAckRig(t, func(cfg *ccm.Config) { cfg.Cloud.PersistentSession = true }, 115200)
		line := r.stations[0].uart.Module()
		line.Stall(true)
		for i := range 3 {
			r.publish("all/x", fmt.Sprint("m", i))
		}
		time.Sleep(time.Second)
		r.broker.Kick(ccm.DefaultID)
		r.offline()
		r.online()
		time.Sleep(time.Second)
		line.Stall(false)
		time.Sleep(5 * time.Second)
		frames := r.frames(0)
		var got []string
		for _, f := range frames {
			got = append(got, f.payload)
		}
		if !slices.Equal(got, []string{"m0", "m1", "m2", "m0", "m1", "m2"}) {
			t.Fatalf("the host got %q", got)
		}
		for i, f := range frames[3:] {
			if at := r.acked(f.payload); at != f.at {
				t.Errorf("m%d acknowledged at %v, its frame had left at %v", i, at, f.at)
			}
		}
	})
}
