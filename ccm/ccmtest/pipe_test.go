package ccmtest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestPipe: bytes in order, both ways, through buffers that fill up.
func TestPipe(t *testing.T) {
	c, b := newConn(1<<20, "c", "b")
	text := bytes.Repeat([]byte("0123456789abcdef"), 60_000) // 960 kB
	var wg sync.WaitGroup
	send := func(from, to *conn) {
		wg.Go(func() {
			for p := text; len(p) > 0; {
				n := min(len(p), 7777)
				if k, err := from.Write(p[:n]); k != n || err != nil {
					t.Errorf("write %d, %v", k, err)
				}
				p = p[n:]
			}
			if from == c {
				from.Close()
			}
		})
		wg.Go(func() {
			got := make([]byte, len(text))
			if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, text) {
				t.Errorf("read: %v", err)
			}
			if to == b {
				if n, err := to.Read(got); n != 0 || err != io.EOF {
					t.Errorf("at the end: %d, %v", n, err)
				}
			}
		})
	}
	send(c, b)
	wg.Wait()
	c, b = newConn(1<<20, "c", "b")
	send(b, c)
	wg.Wait()
	if cap(c.in.buf) > keptBuffer {
		t.Errorf("%d bytes of buffer kept", cap(c.in.buf))
	}
	if c.LocalAddr().String() != "c" || c.RemoteAddr().String() != "b" || b.LocalAddr().Network() != "ccmtest" {
		t.Error("addresses")
	}
}

// TestPipeDeadlines: reads and writes that wait end at the deadline, and at once
// after it.
func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := newConn(1<<20, "c", "b")
		timeout := func(want time.Duration, do func() (int, error)) {
			t.Helper()
			start := time.Now()
			_, err := do()
			ne, is := errors.AsType[net.Error](err)
			if !is || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != want {
				t.Errorf("%v after %v, want a timeout after %v", err, time.Since(start), want)
			}
		}
		read := func() (int, error) { return c.Read(make([]byte, 9)) }
		write := func() (int, error) { return c.Write(make([]byte, toBrokerBuffer+1)) }
		c.SetReadDeadline(time.Now().Add(time.Hour))
		timeout(time.Hour, read)
		timeout(0, read)
		b.Write([]byte("x"))
		timeout(0, read)
		c.SetDeadline(time.Now().Add(time.Minute))
		if n, err := read(); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		timeout(time.Minute, write)
		c.SetWriteDeadline(time.Now().Add(time.Minute))
		timeout(time.Minute, func() (int, error) { return c.Write([]byte("y")) })
		c.SetDeadline(time.Time{})
		time.AfterFunc(time.Hour, func() { c.SetReadDeadline(time.Now()) })
		timeout(time.Hour, read)
	})
}

// TestPipeEnds: what each end gets when the other is closed or broken.
func TestPipeEnds(t *testing.T) {
	one := make([]byte, 1)
	check := func(name string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	c, b := newConn(10, "c", "b")
	b.Write([]byte("last"))
	b.Close()
	b.Close()
	_, err := c.Write(one)
	check("write to a closed end", err, syscall.EPIPE)
	if got, err := io.ReadAll(c); string(got) != "last" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	_, err = b.Read(one)
	check("read after Close", err, net.ErrClosed)
	_, err = b.Write(one)
	check("write after Close", err, net.ErrClosed)
	check("deadline after Close", b.SetReadDeadline(time.Now()), net.ErrClosed)

	c, b = newConn(10, "c", "b")
	b.Write([]byte("lost"))
	if n, err := b.Write([]byte("123456")); n != 6 || err != nil {
		t.Errorf("a full buffer: %d, %v", n, err)
	}
	if n, err := b.Write(one); n != 0 {
		t.Errorf("overflow: %d, %v", n, err)
	}
	for _, end := range []*conn{c, b} {
		_, err := end.Read(one)
		check("read after a reset", err, syscall.ECONNRESET)
		_, err = end.Write(one)
		check("write after a reset", err, syscall.ECONNRESET)
		check("deadline after a reset", end.SetDeadline(time.Now()), syscall.ECONNRESET)
		end.Close()
	}
}

// TestPipeUnblocks: Close and reset end what waits.
func TestPipeUnblocks(t *testing.T) {
	for name, end := range map[string]func(c *conn){"close": func(c *conn) { c.Close() }, "reset": (*conn).reset} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, b := newConn(10, "c", "b")
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := c.Read(make([]byte, 1)); err == nil {
						t.Error("read")
					}
				})
				wg.Go(func() {
					if _, err := c.Write(make([]byte, 2*toBrokerBuffer)); err == nil {
						t.Error("write")
					}
				})
				wg.Go(func() {
					if _, err := io.Copy(io.Discard, io.LimitReader(b, 10)); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
				end(c)
				wg.Wait()
			})
		})
	}
}

// TestPacketLen: where an MQTT packet ends.
func TestPacketLen(t *testing.T) {
	for _, test := range []struct {
		p    []byte
		want int
	}{
		{[]byte{0x40, 2, 0, 1, 0xd0, 0}, 4}, {[]byte{0xd0, 0}, 2}, {[]byte{0x30}, 1}, {[]byte{0x30, 0x80}, 2},
		{append([]byte{0x30, 0x80, 1}, make([]byte, 200)...), 131}, {[]byte{0x30, 5, 0}, 3},
		{[]byte{0x30, 0x80, 0x80, 0x80, 0x80, 1, 2}, 7},
	} {
		if got := packetLen(test.p); got != test.want {
			t.Errorf("% x: %d, want %d", test.p[:min(6, len(test.p))], got, test.want)
		}
	}
}

// TestAdmit: a publisher waits for room, and neither a miscount nor the end of
// the connection holds it for ever.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBroker(BrokerOptions{WritesPending: 3})
		defer b.Close()
		_, raw := newConn(10, "c", "b")
		c := newBrokerConn(b, raw)
		for range 3 {
			c.admit()
		}
		took := func(free func()) time.Duration {
			start := time.Now()
			if free != nil {
				time.AfterFunc(100*time.Millisecond, free)
			}
			c.admit()
			return time.Since(start)
		}
		if d := took(func() { c.written(); c.told() }); d != 100*time.Millisecond {
			t.Errorf("room after %v", d)
		}
		if d := took(nil); d != time.Second {
			t.Errorf("a miscount held it for %v", d)
		}
		c.admit()
		c.admit()
		if d := took(func() { c.Close() }); d != 100*time.Millisecond {
			t.Errorf("the end after %v", d)
		}
		if d := took(nil); d != 0 {
			t.Errorf("after the end it waits %v", d)
		}
	})
}
