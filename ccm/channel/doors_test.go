package channel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// TestTCP: frames in parallel, what is too long, login by frame, and the end.
func TestTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.auth.Store(true)
		l := newMemListener()
		stop := serving(t, func(ctx context.Context) error {
			return channel.ServeTCP(ctx, r.Service, l, channel.TCPConfig{Role: access.LAN})
		})
		c := l.dial()
		m := framing.NewMosTCP(c, nil)
		replies := make(chan string, 10)
		go func() {
			for {
				f, err := m.ReadFrame()
				if err != nil {
					close(replies)
					return
				}
				replies <- string(f)
			}
		}()
		ask := func(frame string) string {
			if err := m.WriteFrame([]byte(frame)); err != nil {
				t.Fatal(err)
			}
			return <-replies
		}
		_, challenge := errorOf(t, ask(`{"id":1,"method":"Test.Where"}`))
		if got, want := ask(`{"id":1,"method":"Test.Where","auth":`+authOf(t, challenge, "admin", "secret")+`}`),
			`{"id":1,"src":"ccm_A1B2C3","result":["`+access.LAN.String()+`","TCP_in","admin"]}`; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		m.WriteFrame([]byte(`{"id":2,"method":"Test.Where","params":"` + strings.Repeat("x", 4200) + `"}`))
		if got := ask(`{"id":3,"method":"Nope"}`); !strings.Contains(got, `"id":3`) || !strings.Contains(got, "401") {
			t.Errorf("after a long frame: %s", got)
		}
		if n := r.Stats().Channels; n != 1 {
			t.Errorf("%d connections", n)
		}
		stop()
		if _, open := <-replies; open {
			t.Error("the connection is left")
		}
		m.Close()
		if s := r.Stats(); s.Channels != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestTCPWriteLimit: a peer that takes no replies is cut off after 15 s.
func TestTCPWriteLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		l := newMemListener()
		serving(t, func(ctx context.Context) error {
			return channel.ServeTCP(ctx, r.Service, l, channel.TCPConfig{Role: access.LAN})
		})
		c := l.dial()
		for i := range 20 {
			if _, err := fmt.Fprintf(c, "\n{\"id\":%d,\"method\":\"Nope\"}\n", i); err != nil {
				break
			}
			if i == 5 {
				time.Sleep(15*time.Second + time.Millisecond)
			}
		}
		synctest.Wait()
		if s := r.Stats(); s.Unsent == 0 {
			t.Errorf("%+v", s)
		}
		c.Close()
	})
}

// failingListener accepts what its list says.
type failingListener struct {
	*memListener
	mu   sync.Mutex
	errs []error
}

type temporary struct{ error }

func (temporary) Temporary() bool { return true }
func (temporary) Timeout() bool   { return false }

func (l *failingListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.memListener.Accept()
}

// TestAcceptFails: what passes is waited for, what does not ends the door.
func TestAcceptFails(t *testing.T) {
	broken := errors.New("broken")
	for name, serve := range map[string]func(ctx context.Context, s *channel.Service, l net.Listener) error{
		"tcp": func(ctx context.Context, s *channel.Service, l net.Listener) error {
			return channel.ServeTCP(ctx, s, l, channel.TCPConfig{Role: access.LAN})
		},
		"http": func(ctx context.Context, s *channel.Service, l net.Listener) error {
			return channel.NewHTTP(s, channel.HTTPConfig{Role: access.LAN}).Serve(ctx, l)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				passing := temporary{errors.New("too many open files")}
				l := &failingListener{memListener: newMemListener(), errs: []error{passing, passing, broken}}
				if err := serve(t.Context(), r.Service, l); !errors.Is(err, broken) {
					t.Errorf("error %v", err)
				}
				select {
				case <-l.done:
				default:
					t.Error("the listener is open")
				}
			})
		})
	}
}

func TestListen(t *testing.T) {
	for addr, good := range map[string]bool{"0": true, "127.0.0.1:0": true, "127.0.0.1:x": false, "256.0.0.1:1": false} {
		l, err := channel.Listen(t.Context(), addr)
		if (err == nil) != good {
			t.Errorf("%s: %v", addr, err)
		}
		if l != nil {
			l.Close()
		}
	}
}

// TestUDP: login by frame, what is no frame, replies that are too long, four
// calls at a time, and the end.
func TestUDP(t *testing.T) {
	r := newRig(t, nil)
	r.auth.Store(true)
	c, err := net.Dial("udp", serveUDP(t, r))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 1<<16)
	read := func() string {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	ask := func(frame string) string { io.WriteString(c, frame); return read() }
	login := func(frame string) string {
		_, challenge := errorOf(t, ask(frame))
		return strings.TrimSuffix(frame, "}") + `,"auth":` + authOf(t, challenge, "admin", "secret") + "}"
	}
	for _, junk := range []string{"", "hello", `{"method":"Test.Echo"}`, `{"id":1,"result":1}`,
		`{"id":1,"method":"Test.Echo","params":"` + strings.Repeat("x", 4096) + `"}`} {
		io.WriteString(c, junk)
	}
	if got, want := ask(login(`{"id":1,"method":"Test.Where"}`)), `{"id":1,"src":"ccm_A1B2C3","result":["`+access.LAN.String()+`","UDP_in","admin"]}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got, want := ask(login(`{"id":2,"method":"Test.Big"}`)), `{"id":2,"src":"ccm_A1B2C3","error":{"code":413,"message":"the reply is too long"}}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for range 4 {
		io.WriteString(c, login(`{"id":3,"method":"Test.Block"}`))
	}
	eventually(t, "at work", func() bool { return r.blocked.Load() == 4 })
	if got := ask(login(`{"id":4,"method":"Test.Block"}`)); !strings.Contains(got, `"code":429`) {
		t.Errorf("the fifth: %s", got)
	}
	close(r.release)
	for range 4 {
		if got := read(); !strings.Contains(got, `"id":3`) {
			t.Errorf("got %s", got)
		}
	}
	if s := r.Stats(); s.TooLong != 1 || s.Handlers != 0 && s.Handlers > 1 {
		t.Errorf("%+v", s)
	}
}

// brokenPacketConn fails to read.
type brokenPacketConn struct {
	net.PacketConn
	errs []error
}

func (b *brokenPacketConn) ReadFrom([]byte) (int, net.Addr, error) {
	err := b.errs[0]
	b.errs = b.errs[1:]
	return 0, nil, err
}

func TestUDPFails(t *testing.T) {
	r := newRig(t, nil)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err = channel.ServeUDP(t.Context(), r.Service, &brokenPacketConn{pc, []error{temporary{broken}, broken}}, channel.UDPConfig{})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if pc.Close() == nil {
		t.Error("the socket was open")
	}
}

// TestSerial: a port that fails is opened again, after a growing pause, and what
// is wrong is logged once.
func TestSerial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var opened []time.Duration
		begun := time.Now()
		var far *wire.End
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			channel.ServeSerial(ctx, r.Service, channel.SerialConfig{Name: "ttyS1", Open: func(context.Context) (framing.Port, error) {
				opened = append(opened, time.Since(begun))
				switch n := len(opened); {
				case n <= 6:
					return nil, errors.New("no such port")
				case n == 7:
					return nil, nil
				}
				var near *wire.End
				near, far = wire.Pair(nil)
				return near, nil
			}})
		}()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got, want := fmt.Sprint(opened), "[0s 100ms 300ms 700ms 1.5s 3.1s 5.1s 7.1s]"; got != want {
			t.Errorf("opened at %s, want %s", got, want)
		}
		if n := strings.Count(r.log.String(), "no such port"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		ask := func(frame string) string {
			far.Write([]byte("\n" + frame + "\n"))
			synctest.Wait()
			buf := make([]byte, 1000)
			n, _ := far.Read(buf)
			return strings.TrimSpace(string(buf[:n]))
		}
		if got, want := ask(`{"id":1,"method":"RPC.Ping"}`), `{"id":1,"src":"ccm_A1B2C3","result":{"channel_info":"ttyS1"}}`; got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
		if got, want := ask(`{"id":1,"method":"Test.Echo","params":"é"}`), `{"id":1,"src":"ccm_A1B2C3","result":"é"}`; got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
		far.Close() // the adapter is pulled
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(opened); n != 9 {
			t.Errorf("opened %d times", n)
		}
		if got := ask(`{"id":1,"method":"Test.Where"}`); !strings.Contains(got, `"UART"`) {
			t.Errorf("got %q", got)
		}
		far.Write([]byte("\n{\"id\":1,\"method\":\"Test.Block\"}\n"))
		synctest.Wait()
		cancel()
		<-done
		if n := r.blocked.Load(); n != 0 {
			t.Errorf("%d handlers are left", n)
		}
	})
}

// TestShare: one port for a host and for mos.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		near, far := wire.Pair(nil)
		open := channel.Share(r.Service, channel.SerialConfig{Open: func(context.Context) (framing.Port, error) { return near, nil }})
		port, err := open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		host := framing.NewConn(port, nil)
		var lines []string
		go func() {
			for {
				f, err := host.ReadFrame()
				if err != nil {
					return
				}
				lines = append(lines, string(f))
			}
		}()
		// said returns what comes out of the port.
		said := func() string {
			synctest.Wait()
			buf := make([]byte, 10000)
			far.SetReadDeadline(time.Now().Add(1))
			n, _ := far.Read(buf)
			return string(buf[:n])
		}
		heard := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if got := strings.Join(lines, "|"); got != strings.Join(want, "|") {
				t.Errorf("the host's side heard %q, want %q", got, want)
			}
			lines = nil
		}
		hostLine := `{"id":1,"method":"Sum","params":["",""]}`
		far.Write([]byte(hostLine + "\nboot\x04 \"\"\" x\n" + hostLine + "\n"))
		heard(hostLine, hostLine)
		far.Write([]byte("\x04 \"\"\" x"))
		host.WriteFrame([]byte(`{"a":1}`))
		if got := said(); got != "{\"a\":1}\n" {
			t.Errorf("host's side wrote %q", got)
		}
		// mos comes, in small pieces.
		ask := func(frame string) string {
			for _, c := range "\"\"\"\x04\"\"\"\n\n" {
				far.Write([]byte(string(c)))
			}
			if got := said(); !strings.Contains(got, "\"\"\"\x04\"\"\"") {
				t.Errorf("no handshake: %q", got)
			}
			far.Write([]byte("\"\"\""))
			far.Write([]byte("\n\"\"\"" + frame + string(framing.AppendCRC(nil, []byte(frame))) + "\"\"\"\n"))
			return strings.Trim(said(), "\n")
		}
		framed := func(reply string) string {
			return `"""` + reply + string(framing.AppendCRC(nil, []byte(reply))) + `"""`
		}
		if got, want := ask(`{"id":9,"method":"RPC.Ping"}`), framed(`{"id":9,"src":"ccm_A1B2C3","result":{"channel_info":"UART0"}}`); got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
		heard()
		host.WriteFrame([]byte(`{"b":1}`)) // is lost: the line belongs to mos
		if got := said(); got != "" {
			t.Errorf("host's side wrote %q", got)
		}
		// The host is back.
		far.Write([]byte("\n" + hostLine + "\n"))
		heard(hostLine)
		host.WriteFrame([]byte(`{"c":1}`))
		if got := said(); got != "{\"c\":1}\n" {
			t.Errorf("host's side wrote %q", got)
		}
		// A frame without handshake is taken too; the line goes back when it is
		// answered and silent for a while.
		far.Write([]byte("\n\"\"\"{\"id\":3,\"method\":\"Test.Block\"}\"\"\"\n"))
		time.Sleep(10 * time.Second)
		host.WriteFrame([]byte(`{"d":1}`))
		if got := said(); strings.Contains(got, "d") {
			t.Errorf("host's side wrote %q while mos waits", got)
		}
		close(r.release)
		if got := said(); !strings.Contains(got, `"id":3`) {
			t.Errorf("mos got %q", got)
		}
		time.Sleep(3 * time.Second)
		host.WriteFrame([]byte(`{"e":1}`))
		if got := said(); got != "{\"e\":1}\n" {
			t.Errorf("host's side wrote %q", got)
		}
		heard()
		// The host comes while a call of mos is at work: the reply is lost.
		r.release = make(chan struct{})
		far.Write([]byte("\n\"\"\"{\"id\":4,\"method\":\"Test.Block\"}\"\"\"\n"))
		synctest.Wait()
		far.Write([]byte("\n" + hostLine + "\n"))
		heard(hostLine)
		said()
		close(r.release)
		if got := said(); got != "" || r.blocked.Load() != 0 {
			t.Errorf("the host gets %q", got)
		}
		// Whoever takes the port below gets everything.
		far.Write([]byte("\n\"\"\"\x04"))
		synctest.Wait()
		port.(interface{ Unwrap() framing.Port }).Unwrap()
		far.Write([]byte("\n" + hostLine + "\n"))
		heard(hostLine)
		if err := host.Close(); err != nil {
			t.Error(err)
		}
		port.Close()
		if _, err := port.Write([]byte("x")); err == nil {
			t.Error("a closed port writes")
		}
	})
}

// TestShareUnwrap: after Unwrap every byte is the host's.
func TestShareUnwrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wire.Pair(nil)
		port, err := channel.Share(newRig(t, nil).Service, channel.SerialConfig{Open: func(context.Context) (framing.Port, error) { return near, nil }})(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer port.Close()
		if p := port.(interface{ Unwrap() framing.Port }).Unwrap(); p != framing.Port(near) {
			t.Errorf("%v is not the port below", p)
		}
		const raw = "\"\"\"\x04\"\"\"{}"
		far.Write([]byte(raw))
		buf := make([]byte, 100)
		if n, err := port.Read(buf); string(buf[:n]) != raw || err != nil {
			t.Errorf("read %q, %v", buf[:n], err)
		}
	})
}

// TestShareClose: closing the port ends the calls of mos.
func TestShareClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		near, far := wire.Pair(nil)
		port, err := channel.Share(r.Service, channel.SerialConfig{Open: func(context.Context) (framing.Port, error) { return near, nil }})(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, port)
		far.Write([]byte("\n\"\"\"{\"id\":3,\"method\":\"Test.Block\"}\"\"\"\n"))
		synctest.Wait()
		if r.blocked.Load() != 1 {
			t.Error("the call of mos is not at work")
		}
		port.Close()
		if n := r.blocked.Load(); n != 0 {
			t.Errorf("%d handlers are left", n)
		}
		failed := errors.New("no port")
		for _, open := range []func(context.Context) (framing.Port, error){
			func(context.Context) (framing.Port, error) { return nil, failed },
			func(context.Context) (framing.Port, error) { return nil, nil },
		} {
			if port, err := channel.Share(r.Service, channel.SerialConfig{Open: open})(t.Context()); port != nil || err == nil {
				t.Errorf("%v, %v", port, err)
			}
		}
	})
}
