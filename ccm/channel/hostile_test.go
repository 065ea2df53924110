package channel_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
)

// memory returns what is in use: the heap without garbage, of which the attackers
// make a lot while they are at it, and the stacks.
func memory() uint64 {
	runtime.GC()
	m := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(m)
	return m[0].Value.Uint64() + m[1].Value.Uint64()
}

// TestP3: while many attackers do their worst, others are served, memory stays
// within 16 MiB, and afterwards everything is as it was.
func TestP3(t *testing.T) {
	slow := func(text string) func(c net.Conn) {
		return func(c net.Conn) { // one byte a second, here a little faster
			for i := range len(text) {
				if _, err := io.WriteString(c, text[i:i+1]); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	endless := func(head, body string) func(c net.Conn) {
		return func(c net.Conn) {
			io.WriteString(c, head)
			piece := []byte(body)
			for range 1 << 30 / len(piece) {
				if _, err := c.Write(piece); err != nil {
					return
				}
			}
		}
	}
	socket := request("GET", "/rpc", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: KAp5qHsSXaSdazmbyeRHDQ==")
	big := strings.Repeat(" ", 1<<16)
	for _, tt := range []struct {
		name   string
		n      int
		attack func(c net.Conn)
	}{
		{"slow header", 200, slow(strings.Repeat(post("/rpc", ""), 10))},
		{"slow body", 200, func(c net.Conn) {
			io.WriteString(c, strings.Replace(post("/rpc", ""), "Content-Length: 0", "Content-Length: 4000", 1))
			slow(big[:4000])(c)
		}},
		{"silence", 200, func(c net.Conn) { c.Read(make([]byte, 1)) }},
		{"body of 1 GiB", 20, endless("POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1073741824\r\n\r\n", big)},
		{"body without end", 20, endless("POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n", "10000\r\n"+big+"\r\n")},
		{"100000 headers", 20, func(c net.Conn) {
			io.WriteString(c, "GET /rpc HTTP/1.1\r\n")
			for i := range 100_000 {
				if _, err := fmt.Fprintf(c, "H%d: x\r\n", i); err != nil {
					return
				}
			}
		}},
		{"header without end", 20, endless("GET /rpc HTTP/1.1\r\nX: ", big)},
		{"websocket, length 2^63", 20, endless(socket+string(wsFrame(0x81, "", 1<<63)), big)},
		{"websocket, length 2^62", 20, endless(socket+string(wsFrame(0x81, "", 1<<62)), big)},
		{"websocket, fragments without end", 20, endless(socket+string(wsFrame(0x01, "{", 1)), strings.Repeat(string(wsFrame(0x00, "", 0)), 1000))},
		{"websocket, pings without end", 20, endless(socket, strings.Repeat(string(wsFrame(0x89, "x", 1)), 1000))},
		{"websocket, calls without reading", 20, endless(socket, strings.Repeat(string(text(`{"id":1,"method":"Test.Large"}`)), 100))},
		{"websocket, refused calls without reading", 20, endless(socket, strings.Repeat(string(text(`{"id":1,"method":"Nope"}`)), 100))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(c *channel.Config) { c.Logger = nil })
			r.forgetful.Store(true)
			addr, stop := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
			base, routines := memory(), runtime.NumGoroutine()
			var wg sync.WaitGroup
			var mu sync.Mutex
			var conns []net.Conn
			over := false
			for range tt.n {
				wg.Go(func() {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						return
					}
					c.SetDeadline(time.Now().Add(time.Duration(heavy(10)) * time.Second / 5))
					defer c.Close()
					mu.Lock()
					conns = append(conns, c)
					late := over
					mu.Unlock()
					if !late {
						tt.attack(c)
					}
				})
			}
			time.Sleep(100 * time.Millisecond)
			var times []time.Duration
			for range 20 {
				begun := time.Now()
				res := roundTrip(t, addr, post("/rpc/Test.Echo", "1"))
				for range 100 {
					if res.StatusCode == 429 { // the attackers are just calling as much as they may
						time.Sleep(20 * time.Millisecond)
						res = roundTrip(t, addr, post("/rpc/Test.Echo", "1"))
					}
				}
				if res.body != "1\r\n" {
					t.Errorf("others get %d %q", res.StatusCode, res.body)
				}
				times = append(times, time.Since(begun))
				if m := memory(); m > base+16<<20 {
					t.Errorf("%d MiB above base", (m-base)>>20)
				}
				if n := r.Stats().Channels; n > 20 {
					t.Errorf("%d connections", n)
				}
				time.Sleep(5 * time.Millisecond)
			}
			slices.Sort(times)
			t.Logf("others: median %v, longest %v", times[10], times[19])
			mu.Lock()
			over = true
			for _, c := range conns {
				c.Close()
			}
			mu.Unlock()
			wg.Wait()
			eventually(t, "all gone", func() bool { s := r.Stats(); return s.Channels == 0 && s.Handlers == 0 })
			eventually(t, "goroutines back", func() bool { return runtime.NumGoroutine() <= routines })
			if m := memory(); m > base+1<<20 {
				t.Errorf("%d KiB above base afterwards", (m-base)>>10)
			}
			stop()
		})
	}
}

// TestHeaderLimit: 8192 bytes of header, and not one more.
func TestHeaderLimit(t *testing.T) {
	r := newRig(t, nil)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	for n, want := range map[int]int{8192: 200, 8193: 431} {
		head := "POST /rpc/Test.Echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nX: "
		text := head + strings.Repeat("x", n-len(head)-4) + "\r\n\r\n"
		c := dial(t, addr)
		io.WriteString(c, text)
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != want {
			t.Errorf("header of %d bytes: %v %v", n, res, err)
		}
	}
}

// TestEviction: of twenty connections, the one that has been idle for the longest
// makes room, but never one at work.
func TestEviction(t *testing.T) {
	r := newRig(t, func(c *channel.Config) { c.MaxHandlers, c.MaxPerChannel = 100, 100 })
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	type peer struct {
		net.Conn
		br *bufio.Reader
	}
	var peers []peer
	for range 20 {
		c, br, _ := upgrade(t, addr)
		peers = append(peers, peer{c, br})
	}
	eventually(t, "all there", func() bool { return r.Stats().Channels == 20 })
	readFrame := func(p peer) string {
		var head [2]byte
		if _, err := io.ReadFull(p.br, head[:]); err != nil {
			return ""
		}
		b := make([]byte, head[1])
		io.ReadFull(p.br, b)
		return string(b)
	}
	peers[0].Write(text(`{"id":1,"method":"Test.Block"}`)) // is at work
	eventually(t, "at work", func() bool { return r.blocked.Load() == 1 })
	const idlest = 10
	for i := 1; i < 20; i++ {
		if i == idlest {
			continue
		}
		peers[i].Write(text(`{"id":1,"method":"Test.Echo"}`))
		readFrame(peers[i])
	}
	if n := r.Stats().Evicted; n != 0 {
		t.Errorf("%d evicted too early", n)
	}
	upgrade(t, addr)
	if got := readFrame(peers[idlest]); got != "" {
		t.Errorf("the idlest got %q", got)
	}
	for _, i := range []int{1, 19} {
		peers[i].Write(text(`{"id":2,"method":"Test.Echo"}`))
		if got := readFrame(peers[i]); !strings.Contains(got, `"id":2`) {
			t.Errorf("peer %d got %q", i, got)
		}
	}
	if s := r.Stats(); s.Evicted != 1 || s.Channels != 20 {
		t.Errorf("%+v", s)
	}
	// If all are at work, the new one goes.
	for i := 1; i < 20; i++ {
		if i != idlest {
			peers[i].Write(text(`{"id":1,"method":"Test.Block"}`))
		}
	}
	eventually(t, "nearly all at work", func() bool { return r.blocked.Load() == 19 })
	c, _, _ := upgrade(t, addr) // in the place of the one that came last
	c.Write(text(`{"id":1,"method":"Test.Block"}`))
	eventually(t, "all at work", func() bool { return r.blocked.Load() == 20 })
	late := dial(t, addr)
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("the 21st was answered")
	}
	close(r.release)
	for _, i := range []int{0, 1, 19} {
		if got := readFrame(peers[i]); !strings.Contains(got, `"id":1`) {
			t.Errorf("peer %d got %q", i, got)
		}
	}
}

// TestBusyStays: a connection with a request at work makes no room for others.
func TestBusyStays(t *testing.T) {
	r := newRig(t, nil)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	c := dial(t, addr)
	io.WriteString(c, post("/rpc/Test.Block", ""))
	eventually(t, "at work", func() bool { return r.blocked.Load() == 1 })
	for range 40 {
		dial(t, addr)
	}
	eventually(t, "evicted", func() bool { return r.Stats().Evicted >= 21 })
	close(r.release)
	if res := readResponse(t, bufio.NewReader(c)); res.body != "null\r\n" {
		t.Errorf("body %q", res.body)
	}
}

// memListener is a listener in memory, for virtual time.
type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// pipeConn is an end of a pipe with the address of a neighbour.
type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711} }

func (l *memListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- pipeConn{near}
	return far
}

// TestTimes: header 5 s, request 15 s, reply 15 s, idle 30 s, ping 30 s and 15 s.
func TestTimes(t *testing.T) {
	socket := request("GET", "/rpc", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: KAp5qHsSXaSdazmbyeRHDQ==")
	answered := func(t *testing.T, c net.Conn) *bufio.Reader {
		br := bufio.NewReader(c)
		readResponse(t, br)
		return br
	}
	drain := func(c io.Reader) { io.Copy(io.Discard, c) }
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, c net.Conn)
		want time.Duration
	}{
		{"silence", func(t *testing.T, c net.Conn) { drain(c) }, 5 * time.Second},
		{"half a header", func(t *testing.T, c net.Conn) { io.WriteString(c, "POST /rpc HTTP/1.1\r\n"); drain(c) }, 5 * time.Second},
		{"half a body", func(t *testing.T, c net.Conn) {
			text := post("/rpc", "{}")
			go io.WriteString(c, text[:len(text)-1])
			drain(c)
		}, 15 * time.Second},
		{"idle", func(t *testing.T, c net.Conn) {
			go io.WriteString(c, post("/rpc/Test.Echo", "1"))
			drain(answered(t, c))
		}, 30 * time.Second},
		{"reply not taken", func(t *testing.T, c net.Conn) {
			io.WriteString(c, post("/rpc/Test.Big", ""))
			time.Sleep(15*time.Second - time.Millisecond)
			c.Read(make([]byte, 100)) // is still there
			time.Sleep(2 * time.Millisecond)
			drain(c)
		}, 15*time.Second + time.Millisecond},
		{"handler that takes a minute", func(t *testing.T, c net.Conn) {
			go io.WriteString(c, post("/rpc/Test.Wait", ""))
			res := readResponse(t, bufio.NewReader(c))
			if !strings.Contains(res.body, `"code":504`) {
				t.Errorf("body %s", res.body)
			}
		}, time.Minute},
		{"websocket without pong", func(t *testing.T, c net.Conn) {
			go io.WriteString(c, socket)
			drain(answered(t, c))
		}, 45 * time.Second},
		{"websocket, reply not taken", func(t *testing.T, c net.Conn) {
			go io.WriteString(c, socket)
			br := answered(t, c)
			c.Write(text(`{"id":1,"method":"Test.Big"}`))
			time.Sleep(15*time.Second + time.Millisecond)
			drain(br)
		}, 15*time.Second + time.Millisecond},
		{"websocket, half a message", func(t *testing.T, c net.Conn) {
			go io.WriteString(c, socket)
			br := answered(t, c)
			c.Write(wsFrame(0x81, "{", 100))
			drain(br)
		}, 15 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(c *channel.Config) { c.Timeout = time.Minute })
				l := newMemListener()
				web := channel.NewHTTP(r.Service, channel.HTTPConfig{Role: access.LAN})
				stop := serving(t, func(ctx context.Context) error { return web.Serve(ctx, l) })
				c := l.dial()
				begun := time.Now()
				tt.run(t, c)
				if d := time.Since(begun); d != tt.want {
					t.Errorf("over after %v, want %v", d, tt.want)
				}
				c.Close()
				begun = time.Now()
				stop()
				if d := time.Since(begun); d > 2*time.Second {
					t.Errorf("stopped after %v", d)
				}
				if s := r.Stats(); s.Channels != 0 || s.Handlers != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestServeWaits: Serve returns after the last handler, even after one that takes
// its time to end.
func TestServeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, socket := range []bool{false, true} {
			r := newRig(t, nil)
			l := newMemListener()
			web := channel.NewHTTP(r.Service, channel.HTTPConfig{Role: access.LAN})
			stop := serving(t, func(ctx context.Context) error { return web.Serve(ctx, l) })
			c := l.dial()
			go io.Copy(io.Discard, c)
			if socket {
				io.WriteString(c, request("GET", "/rpc", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
					"Sec-WebSocket-Key: KAp5qHsSXaSdazmbyeRHDQ=="))
				c.Write(text(`{"id":1,"method":"Test.Stubborn"}`))
			} else {
				io.WriteString(c, post("/rpc/Test.Stubborn", ""))
			}
			synctest.Wait()
			if r.blocked.Load() != 1 {
				t.Fatal("nothing is at work")
			}
			stop()
			if n := r.blocked.Load(); n != 0 {
				t.Errorf("websocket %v: %d handlers are left", socket, n)
			}
			c.Close()
		}
	})
}

// TestPings: ten pings or pongs a second are taken, more end the websocket.
func TestPings(t *testing.T) {
	for kind, pongs := range map[byte]int{0x89: 10, 0x8a: 0} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			l := newMemListener()
			web := channel.NewHTTP(r.Service, channel.HTTPConfig{Role: access.LAN})
			serving(t, func(ctx context.Context) error { return web.Serve(ctx, l) })
			c := l.dial()
			defer c.Close()
			go io.WriteString(c, request("GET", "/rpc", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
				"Sec-WebSocket-Key: KAp5qHsSXaSdazmbyeRHDQ=="))
			br := bufio.NewReader(c)
			readResponse(t, br)
			for range 3 {
				go c.Write(bytes.Repeat(wsFrame(kind, "x", 1), 10))
				for range pongs {
					pong := make([]byte, 3)
					if _, err := io.ReadFull(br, pong); err != nil || string(pong) != "\x8a\x01x" {
						t.Fatalf("%q %v", pong, err)
					}
				}
				time.Sleep(time.Second)
			}
			if n := r.Stats().Channels; n != 1 {
				t.Errorf("%d connections", n)
			}
			go c.Write(bytes.Repeat(wsFrame(kind, "x", 1), 11))
			rest, _ := io.ReadAll(br)
			if got := bytes.Count(rest, []byte("\x8a\x01x")); got != pongs {
				t.Errorf("%d pongs before the end, want %d", got, pongs)
			}
			synctest.Wait()
			if n := r.Stats().Channels; n != 0 {
				t.Errorf("%d connections are left", n)
			}
		})
	}
}

// TestQuietHTTP: a reply over HTTP is on its way until it has left.
func TestQuietHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		l := newMemListener()
		web := channel.NewHTTP(r.Service, channel.HTTPConfig{Role: access.LAN})
		serving(t, func(ctx context.Context) error { return web.Serve(ctx, l) })
		c := l.dial()
		defer c.Close()
		io.WriteString(c, post("/rpc/Test.Echo", "1"))
		synctest.Wait()
		limited, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r.Quiet(limited) == nil {
			t.Error("quiet before the reply was read")
		}
		readResponse(t, bufio.NewReader(c))
		synctest.Wait()
		if err := r.Quiet(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestDeafPeers: peers that call and take no replies keep nobody out, neither of the
// pool nor of the places.
func TestDeafPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		l := newMemListener()
		web := channel.NewHTTP(r.Service, channel.HTTPConfig{Role: access.LAN})
		serving(t, func(ctx context.Context) error { return web.Serve(ctx, l) })
		var deaf []net.Conn
		for range 20 {
			c := l.dial()
			deaf = append(deaf, c)
			go io.WriteString(c, request("GET", "/rpc", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
				"Sec-WebSocket-Key: KAp5qHsSXaSdazmbyeRHDQ=="))
			readResponse(t, bufio.NewReader(c))
			for range 4 {
				c.Write(text(`{"id":1,"method":"Test.Echo"}`))
			}
		}
		synctest.Wait()
		if s := r.Stats(); s.Handlers != 0 || s.Channels != 20 || s.Busy != 0 {
			t.Errorf("%+v", s)
		}
		c := l.dial()
		go io.WriteString(c, post("/rpc/Test.Echo", "1"))
		begun := time.Now()
		if res := readResponse(t, bufio.NewReader(c)); res.body != "1\r\n" || time.Since(begun) > 0 {
			t.Errorf("%d %q after %v", res.StatusCode, res.body, time.Since(begun))
		}
		for _, c := range append(deaf, c) {
			c.Close()
		}
	})
}

// TestStopFinishes: requests at work when the door is closed are answered.
func TestStopFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		l := newMemListener()
		web := channel.NewHTTP(r.Service, channel.HTTPConfig{Role: access.LAN})
		stop := serving(t, func(ctx context.Context) error { return web.Serve(ctx, l) })
		c, idle := l.dial(), l.dial()
		got := make(chan string, 1)
		go func() {
			go io.WriteString(c, post("/rpc/Test.Slow", ""))
			got <- readResponse(t, bufio.NewReader(c)).body
		}()
		synctest.Wait()
		begun := time.Now()
		stop()
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("stopped after %v", d)
		}
		if body := <-got; body != "\"late\"\r\n" {
			t.Errorf("body %q", body)
		}
		if _, err := idle.Read(make([]byte, 1)); err == nil {
			t.Error("an idle connection is left")
		}
		c.Close()
		idle.Close()
	})
}
