package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// checkCalls calls the stock host behind a port.
func checkCalls(t *testing.T, flags ...string) {
	t.Helper()
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"Sum", "[2,3]"}, "5\n", 0},
		{[]string{"Sum", "[2,\n 3]"}, "5\n", 0},
		{[]string{"host/Sum", "[1,1]"}, "2\n", 0},
		{[]string{"host/RPC.List"}, `["Shadow.Delta","Sum","RPC.List","Sys.Info"]` + "\n", 0},
		{[]string{"No.Such"}, "", jsonrpc.CodeMethodNotFound},
	} {
		if !strings.Contains(flags[1], "mqtt") { // the names of the module
			c.args[0] = strings.TrimPrefix(c.args[0], "host/")
		}
		out, _, err := try(t, append(append([]string{"call"}, flags...), c.args...)...)
		e, _ := errors.AsType[*jsonrpc.Error](err)
		switch {
		case c.code != 0 && (e == nil || e.Code != c.code || exitCode(err) != 1 || !strings.HasPrefix(err.Error(), c.args[0]+": ")):
			t.Errorf("%q: %v, want code %d", c.args, err, c.code)
		case c.code == 0 && err != nil, out != c.want:
			t.Errorf("%q: %q, %v; want %q", c.args, out, err, c.want)
		}
	}
}

func TestCallTCP(t *testing.T) {
	checkCalls(t, "--port", serveHost(t, ccmtest.MCUOptions{}))
}

// TestCallCRC: a host that wants CRC suffixes gets them.
func TestCallCRC(t *testing.T) {
	address := serveHost(t, ccmtest.MCUOptions{
		Generation: ccmtest.GenModern, Host: host.Config{RequireCRC: true, NoInit: true}, Report: ccmtest.ReportNone,
	})
	if out, _, err := try(t, "call", "--port", address, "--timeout", "5s", "Sum", "[2,3]"); err != nil || out != "5\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestCallModule: the peer may be a module, which takes us for its host.
func TestCallModule(t *testing.T) {
	address := serve(t, func(ctx context.Context, port framing.Port) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		used := false
		m, err := ccm.New(ccm.Config{ID: "gate", Hosts: []ccm.HostConfig{{
			Open: func(context.Context) (framing.Port, error) {
				if used {
					cancel() // the caller has hung up
					return nil, io.EOF
				}
				used = true
				return port, nil
			},
		}}})
		if err != nil {
			t.Error(err)
			return
		}
		m.Run(ctx)
	})
	out, _, err := try(t, "call", "--port", address, "RPC.List")
	if err != nil {
		t.Error(err)
	}
	wants(t, out, `"MQTT.Pub"`)
	out, _, err = try(t, "call", "--port", address, "Sys.Info")
	if err != nil || text0([]byte(out), "$.app") != "ccm" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestCallSerial(t *testing.T) {
	a, b := testbed.PTYPair(t)
	port, err := uart.Open(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ccmtest.NewMCU(ccmtest.MCUOptions{}).Run(ctx, port) }()
	checkCalls(t, "--port", b)
	checkCalls(t, "--port", "serial:"+b+"?baud=9600")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestCallUnix(t *testing.T) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, _ := l.Accept()
		ccmtest.NewMCU(ccmtest.MCUOptions{Generation: ccmtest.GenModern}).Run(ctx, c)
	}()
	t.Setenv(portEnv, "unix:"+l.Addr().String())
	if out, _, err := try(t, "call", "Sum", "[20,22]"); err != nil || out != "42\n" {
		t.Errorf("%q, %v", out, err)
	}
	cancel()
	<-ended
}

// A board that opening the port has reset is waited for, and is called once.
func TestCallBoot(t *testing.T) {
	runs := 0
	address := serve(t, func(ctx context.Context, port framing.Port) {
		mcu := ccmtest.NewMCU(ccmtest.MCUOptions{BootTime: 700 * time.Millisecond, BootText: "booting\r\n", Bare: true})
		mcu.HandleFunc("Count", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			runs++
			w.Resultf("%d", runs)
		})
		mcu.Run(ctx, port)
	})
	out, log, err := try(t, "call", "--port", address, "Count")
	if err != nil || out != "1\n" || log != "not a frame: booting\n" {
		t.Errorf("%q, %q, %v", out, log, err)
	}
}

// A peer that says nothing, one that talks nonsense and hangs up, and one that
// answers only what it knows.
func TestCallFails(t *testing.T) {
	silent := serve(t, func(ctx context.Context, _ framing.Port) { <-ctx.Done() })
	_, _, err := try(t, "call", "--port", silent, "--timeout", "50ms", "Sum")
	if err == nil || err.Error() != "Sum: no answer within 50ms" {
		t.Errorf("silent: %v", err)
	}
	rude := serve(t, func(_ context.Context, port framing.Port) {
		port.Read(make([]byte, 1))
		io.WriteString(port, "bye\n{\"id\":1,\n")
	})
	_, log, err := try(t, "call", "--port", rude, "Sum")
	if !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset by peer") {
		t.Errorf("rude: %v", err)
	}
	if log != "" { // the reset may be faster than the text
		wants(t, log, "not a frame: bye\n")
	}
	taciturn := serve(t, func(_ context.Context, port framing.Port) {
		for lines := bufio.NewScanner(port); lines.Scan(); {
			if text0(lines.Bytes(), "$.method") == "Known" {
				io.WriteString(port, `{"id":`+mjson.Find(lines.Bytes(), "$.id").String()+`,"error":{"code":-1,"message":"m","data":{"d":1}}}`+"\n")
			}
		}
	})
	_, _, err = try(t, "call", "--port", taciturn, "--timeout", "2s", "Known")
	if e, is := errors.AsType[*jsonrpc.Error](err); !is || e.Code != -1 || !strings.Contains(err.Error(), `{"d":1}`) {
		t.Errorf("taciturn: %v", err)
	}
}

func TestCallMQTT(t *testing.T) {
	s := newSky(t)
	s.module(t, "dev-1")
	port := "mqtt://" + s.address + "/dev-1"
	checkCalls(t, "--port", port)
	out, _, err := try(t, "call", "--port", port, "RPC.List")
	if err != nil {
		t.Error(err)
	}
	wants(t, out, `"MQTT.Pub"`, `"host/Sum"`)

	// As mos does it: spec mos-rpc, section 3.5.
	m := s.Messages("dev-1/rpc")[0]
	src, id := text0(m.Payload, "$.src"), mjson.GetInt(m.Payload, "$.id", 0)
	if m.QoS != 1 || m.Retain || !strings.HasPrefix(src, "dev-1/rpc-resp/"+m.Client) || text0(m.Payload, "$.dst") != "dev-1" ||
		id < 1<<40 || id >= 1<<41 || len(s.Messages(src+"/rpc")) != 1 {
		t.Errorf("published %+v %s", m, m.Payload)
	}
}

func TestCallMQTTFails(t *testing.T) {
	s := newSky(t)
	port := "mqtt://" + s.address + "/dev-1"
	_, _, err := try(t, "call", "--port", port, "--timeout", "100ms", "Sum")
	if err == nil || err.Error() != "Sum: no answer within 100ms" {
		t.Errorf("nobody there: %v", err)
	}
	s.Refuse(5)
	if _, _, err := try(t, "call", "--port", port, "Sum"); err == nil || !strings.Contains(err.Error(), "does not authorize us") {
		t.Errorf("refused: %v", err)
	}
	s.Refuse(0)
	_, _, err = try(t, "call", "--port", "mqtt://127.0.0.1:1/dev-1", "Sum")
	if e, is := errors.AsType[*cloud.Error](err); !is || e.Reason != cloud.ReasonUnreachable {
		t.Errorf("unreachable: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(cancelled, []string{"call", "--port", port, "Sum"}, io.Discard, io.Discard); err != errInterrupted {
		t.Errorf("interrupted: %v", err)
	}
}

// An interrupted call ends at once, and leaves nothing behind.
func TestCallInterrupted(t *testing.T) {
	silent := serve(t, func(ctx context.Context, _ framing.Port) { <-ctx.Done() })
	s := newSky(t)
	for _, port := range []string{silent, "mqtt://" + s.address + "/dev-1"} {
		for after := range 5 {
			r := launch(t, "call", "--port", port, "Sum")
			time.Sleep(time.Duration(after) * 10 * time.Millisecond)
			r.cancel()
			begun := time.Now()
			if err := <-r.ended; err != errInterrupted || time.Since(begun) > 5*time.Second {
				t.Errorf("%s: %v", port, err)
			}
		}
	}
}
