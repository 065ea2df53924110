package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// start runs the program and returns the first word it prints.
func start(t *testing.T, args ...string) string {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, nil, w, io.Discard)
		w.CloseWithError(io.EOF)
		ended <- err
	}()
	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("no first line: %v, %v", err, <-ended)
	}
	go io.Copy(io.Discard, out)
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	place, _, _ := strings.Cut(line, " ")
	return place
}

// check calls Sum over a port.
func check(t *testing.T, port framing.Port) {
	t.Helper()
	c := jsonrpc.NewConn(framing.NewConn(port, &framing.Options{CRC: framing.CRCSend}), nil)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	if got, err := c.Call(t.Context(), nil, "Sum", "[%d,%d]", 2, 3); err != nil || string(got) != "5" {
		t.Errorf("Sum = %s, %v", got, err)
	}
	c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTCP(t *testing.T) {
	addr := start(t, "--listen", "127.0.0.1:0")
	for range 2 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		check(t, conn)
	}
}

func TestPTY(t *testing.T) {
	testbed.Require(t, "pty")
	path := start(t, "--pty")
	for range 2 { // peers come and go
		port, err := uart.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		check(t, port)
	}
}

func TestSerial(t *testing.T) {
	a, b := testbed.PTYPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"serial:" + a + "?baud=9600"}, nil, io.Discard, io.Discard) }()
	port, err := uart.Open(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, port)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

var errAccept = errors.New("no more descriptors")

// brokenListener fails after the first connection.
type brokenListener struct {
	net.Listener
	accepted atomic.Int32
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if l.accepted.Add(1) > 1 {
		return nil, errAccept
	}
	return l.Listener.Accept()
}

// listen returns a listener on a free port.
func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dialTCP(t *testing.T, l net.Listener) net.Conn {
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestAcceptFails: the server ends at once and with it the connections it has.
func TestAcceptFails(t *testing.T) {
	l := listen(t)
	peer := dialTCP(t, l)
	if err := serveListener(t.Context(), &brokenListener{Listener: l}, io.Discard); !errors.Is(err, errAccept) {
		t.Errorf("got %v", err)
	}
	peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := peer.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the peer's connection: %v", err)
	}
}

func isTimeout(err error) bool {
	e, is := errors.AsType[net.Error](err)
	return is && e.Timeout()
}

// TestManyPeers: the 17th connection is served when another one has ended.
func TestManyPeers(t *testing.T) {
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveListener(ctx, l, io.Discard) }()
	var peers []net.Conn
	for range maxPeers + 1 {
		c := dialTCP(t, l)
		io.WriteString(c, `{"id":1,"method":"Sum","params":[2,3]}`+"\n")
		peers = append(peers, c)
	}
	answered := func(c net.Conn, patience time.Duration) error {
		c.SetReadDeadline(time.Now().Add(patience))
		_, err := c.Read(make([]byte, 100))
		return err
	}
	for _, c := range peers[:maxPeers] {
		if err := answered(c, 10*time.Second); err != nil {
			t.Error(err)
		}
	}
	if err := answered(peers[maxPeers], 50*time.Millisecond); !isTimeout(err) {
		t.Errorf("one too many: %v", err)
	}
	peers[0].Close()
	if err := answered(peers[maxPeers], 10*time.Second); err != nil {
		t.Errorf("in the place of another: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
