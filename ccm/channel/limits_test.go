package channel_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// client is the other end of a door. ask returns "" when there is no reply.
type client interface {
	ask(t *testing.T, frame string) string
}

// streamClient asks on a connection; what is read has passed a framer.
type streamClient struct {
	send    func(frame string)
	replies chan string
}

// ask asks the frame, and then for a ping, so that "no reply" needs no waiting.
func (c *streamClient) ask(t *testing.T, frame string) string {
	t.Helper()
	c.send(frame)
	c.send(`{"id":"probe","method":"RPC.Ping"}`)
	var reply string
	for {
		select {
		case r := <-c.replies:
			if strings.HasPrefix(r, `{"id":"probe"`) {
				if reply == "" { // replies may overtake one another
					select {
					case reply = <-c.replies:
					case <-time.After(50 * time.Millisecond):
					}
				}
				return reply
			}
			reply = r
		case <-time.After(20 * time.Second):
			t.Fatalf("the probe behind %.100q is not answered", frame)
		}
	}
}

// doors opens every door, and returns a client for each.
var doors = map[string]func(t *testing.T, r *rig) client{
	"serial": func(t *testing.T, r *rig) client {
		near, far := wire.Pair(nil)
		serving(t, func(ctx context.Context) error {
			channel.ServeSerial(ctx, r.Service, channel.SerialConfig{Open: func(context.Context) (framing.Port, error) { return near, nil }})
			return nil
		})
		return framed(t, framing.NewMosTool(far, &framing.MosOptions{EightBit: true}), func(s string) { far.Write([]byte("\n" + s + "\n")) })
	},
	"tcp": func(t *testing.T, r *rig) client {
		l := listen(t)
		serving(t, func(ctx context.Context) error {
			return channel.ServeTCP(ctx, r.Service, l, channel.TCPConfig{Role: access.LAN})
		})
		c := dial(t, l.Addr().String())
		return framed(t, framing.NewMosTCP(c, nil), func(s string) { io.WriteString(c, "\n"+s+"\n") })
	},
	"udp": func(t *testing.T, r *rig) client {
		c, err := net.Dial("udp", serveUDP(t, r))
		if err != nil {
			t.Fatal(err)
		}
		k := &streamClient{func(s string) { io.WriteString(c, s) }, make(chan string, 100)}
		var wg sync.WaitGroup
		wg.Go(func() {
			buf := make([]byte, 1<<16)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				k.replies <- string(buf[:n])
			}
		})
		t.Cleanup(func() { c.Close(); wg.Wait() })
		return k
	},
	"http": func(t *testing.T, r *rig) client {
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		return httpClient(addr)
	},
	"websocket": func(t *testing.T, r *rig) client {
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		return socketClient(addr)
	},
	"ble": func(t *testing.T, r *rig) client {
		k := &bleClient{notified: make(chan int, 100)}
		k.b = channel.NewBLERPC(t.Context(), r.Service, "aa", func(l [4]byte) { k.notified <- int(binary.BigEndian.Uint32(l[:])) })
		t.Cleanup(k.b.Close)
		return k
	},
}

func framed(t *testing.T, m *framing.MosConn, send func(string)) client {
	k := &streamClient{send, make(chan string, 100)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			f, err := m.ReadFrame()
			if err != nil {
				return
			}
			k.replies <- string(f)
		}
	})
	t.Cleanup(func() { m.Close(); wg.Wait() })
	return k
}

type httpClient string

func (c httpClient) ask(t *testing.T, frame string) string {
	t.Helper()
	conn := dial(t, string(c))
	defer conn.Close()
	io.WriteString(conn, post("/rpc", frame))
	res := readResponse(t, bufio.NewReader(conn))
	if res.StatusCode != 200 {
		return ""
	}
	return strings.TrimSuffix(res.body, "\r\n")
}

type socketClient string

func (c socketClient) ask(t *testing.T, frame string) (reply string) {
	t.Helper()
	conn, br, _ := upgrade(t, string(c))
	defer conn.Close()
	conn.Write(text(frame))
	conn.Write(wsFrame(0x89, "ping", 4))
	for {
		var head [2]byte
		if _, err := io.ReadFull(br, head[:]); err != nil {
			t.Fatal(err)
		}
		n := int(head[1])
		if n == 126 {
			var long [2]byte
			io.ReadFull(br, long[:])
			n = int(binary.BigEndian.Uint16(long[:]))
		}
		p := make([]byte, n)
		io.ReadFull(br, p)
		switch head[0] {
		case 0x88: // closed
			if string(p[:2]) != "\x03\xf1" {
				t.Errorf("closed with %x", p)
			}
			return ""
		case 0x8a:
			if reply == "" {
				conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				if _, err := br.Peek(1); err != nil {
					return ""
				}
				conn.SetReadDeadline(time.Now().Add(20 * time.Second))
				continue
			}
			return reply
		default:
			reply = string(p)
			if br.Buffered() == 0 {
				return reply
			}
		}
	}
}

type bleClient struct {
	b        *channel.BLERPC
	notified chan int
}

func (c *bleClient) ask(t *testing.T, frame string) (reply string) {
	t.Helper()
	time.Sleep(110 * time.Millisecond) // ten requests a second
	if c.b.WriteTxControl(length(len(frame))) != nil || c.b.WriteData([]byte(frame)) != nil {
		return ""
	}
	select {
	case <-c.notified:
	case <-time.After(50 * time.Millisecond):
		return ""
	}
	c.b.ReadRxControl()
	for {
		p := c.b.ReadData(185)
		if len(p) == 0 {
			return reply
		}
		reply += string(p)
	}
}

// TestX1: the limits of a frame, through every door. Afterwards the door serves
// as before, and memory and goroutines are back.
func TestX1(t *testing.T) {
	pad := func(n int) string {
		head := `{"id":1,"method":"RPC.Ping","params":"`
		return head + strings.Repeat("x", n-len(head)-2) + `"}`
	}
	nested := func(n int) string {
		return `{"id":1,"method":"RPC.Ping","params":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	for name, open := range doors {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			base := memory()
			t.Run("limits", func(t *testing.T) {
				r := newRig(t, func(c *channel.Config) { c.Logger = nil })
				r.forgetful.Store(true)
				c := open(t, r)
				const good = `"result":{"channel_info"`
				for _, tt := range []struct{ name, frame, want string }{
					{"longest frame", pad(4096), good},
					{"one byte more", pad(4097), ""},
					{"much more", pad(50_000), ""},
					{"deepest", nested(31), good},
					{"too deep", nested(32), ""},
					{"very deep", nested(2000), ""},
					{"longest id", `{"id":"` + strings.Repeat("i", 62) + `","method":"RPC.Ping"}`, good},
					{"id too long", `{"id":"` + strings.Repeat("i", 63) + `","method":"RPC.Ping"}`, ""},
					{"method too long", `{"id":1,"method":"` + strings.Repeat("M", 129) + `"}`, `"error":{"code":40`},
					{"normal", `{"id":1,"method":"RPC.Ping"}`, good},
				} {
					got := c.ask(t, tt.frame)
					if !strings.Contains(got, tt.want) || tt.want == "" && got != "" || strings.Contains(got, "MMMM") {
						t.Errorf("%s: %.200s", tt.name, got)
					}
				}
			})
			eventually(t, "goroutines back", func() bool { return runtime.NumGoroutine() <= before })
			if m := memory(); m > base+1<<20 {
				t.Errorf("%d KiB above base", (m-base)>>10)
			}
		})
	}
}

// TestLockout: after five wrong passwords within a minute a remote is told to
// wait, over HTTP by the status.
func TestLockout(t *testing.T) {
	r := newRig(t, nil)
	r.auth.Store(true)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	for i := range 7 {
		_, challenge := errorOf(t, r.ask(t, lanOrigin(), `{"id":1,"method":"Test.Echo"}`))
		frame := `{"id":1,"method":"Test.Echo","auth":` + authOf(t, challenge, "admin", "wrong") + `}`
		want := 401
		if i >= 5 {
			want = 429
		}
		if code, _ := errorOf(t, r.ask(t, lanOrigin(), frame)); code != want {
			t.Errorf("frame %d: code %d", i, code)
		}
		header := roundTrip(t, addr, post("/rpc/Test.Echo", "")).Header.Get("WWW-Authenticate")
		res := roundTrip(t, addr, post("/rpc/Test.Echo", "", authorization(t, header, "admin", "wrong", "POST", "/rpc/Test.Echo")))
		if res.StatusCode != want || res.body != "" {
			t.Errorf("request %d: %d %s", i, res.StatusCode, res.body)
		}
	}
	if got := r.seen(); len(got) != 0 {
		t.Errorf("served %v", got)
	}
}

// TestManyFrames: pipelined frames are all answered, in any order, over every
// connection.
func TestManyFrames(t *testing.T) {
	n := heavy(2000)
	for _, door := range []string{"serial", "tcp"} {
		r := newRig(t, func(c *channel.Config) { c.MaxPerChannel = 1 << 20; c.MaxHandlers = 1 << 20 })
		c := doors[door](t, r).(*streamClient)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range n {
				method := "RPC.Ping"
				if i%3 == 0 {
					method = "Nope"
				}
				c.send(fmt.Sprintf(`{"id":%d,"method":"%s"}`, i, method))
			}
		})
		seen := map[string]bool{}
		for range n {
			reply := <-c.replies
			id, _, _ := strings.Cut(strings.TrimPrefix(reply, `{"id":`), ",")
			if seen[id] {
				t.Fatalf("%s: %s is answered twice", door, id)
			}
			seen[id] = true
		}
		wg.Wait()
	}
}
