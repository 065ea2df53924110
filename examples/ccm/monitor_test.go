package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

// traffic is what a monitor sees, and what it makes of it.
var traffic = []struct{ line, text, json string }{
	{`{"id":1,"method":"Sum","params":[2,3]}`, `{"id":1,"method":"Sum","params":[2,3]}`, `"frame":{"id":1,"method":"Sum","params":[2,3]}}`},
	{`{"method":"Sys.GetInfo"}010a4ff9`, `{"method":"Sys.GetInfo"}  crc`, `"frame":{"method":"Sys.GetInfo"},"crc":true}`},
	{`{"method":"Sys.GetInfo"}010a4ff8`, `crc {"method":"Sys.GetInfo"}010a4ff8`, `"kind":"crc","text":"{\"method\":\"Sys.GetInfo\"}010a4ff8"}`},
	{`{"m":"<µ>"}`, `{"m":"<µ>"}`, `"frame":{"m":"<µ>"}}`},
	{"boot \x1b[1m", `junk "boot \x1b[1m"`, `"kind":"junk","text":"boot \u001b[1m"}`},
	{`{"id":1,`, `malformed {"id":1,`, `"kind":"malformed","text":"{\"id\":1,","error":"`},
}

// TestMonitor: everything on the line is shown, and nothing is sent.
func TestMonitor(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		sent := make(chan string, 1)
		address := serve(t, func(_ context.Context, port framing.Port) {
			for _, c := range traffic {
				io.WriteString(port, c.line+"\n")
			}
			port.(interface{ CloseWrite() error }).CloseWrite()
			all, _ := io.ReadAll(port)
			sent <- string(all)
		})
		args := []string{"monitor", address}
		if asJSON {
			args = append(args, "--json")
		}
		out, log, err := try(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, log, "listening to "+address, "the other end has hung up")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != len(traffic) {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), len(traffic), out)
		}
		for i, c := range traffic {
			clock, rest, _ := strings.Cut(lines[i], " ")
			want := c.text
			if asJSON {
				clock, rest, _ = strings.Cut(lines[i], ",")
				want = c.json
				if !json.Valid([]byte(lines[i])) {
					t.Errorf("not JSON: %s", lines[i])
				}
			}
			if !strings.HasPrefix(rest, want) || len(clock) < len("15:04:05.000") {
				t.Errorf("%s: shown %s, want %s", c.line, lines[i], want)
			}
		}
		if got := <-sent; got != "" {
			t.Errorf("sent %q", got)
		}
	}
}

// The adapter is pulled, or the user has enough.
func TestMonitorSerial(t *testing.T) {
	master, path := testbed.PTY(t)
	r := launch(t, "monitor", path)
	r.log.waitFor(t, "listening to "+path)
	io.WriteString(master, "{\"a\":1}\n")
	r.out.waitFor(t, `{"a":1}`)
	r.interrupt(t)

	r = launch(t, "monitor", path)
	r.log.waitFor(t, "listening to "+path)
	master.Close()
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), uart.ErrUnplugged.Error()) {
		t.Errorf("unplugged: %v", err)
	}
}

func TestMonitorMQTT(t *testing.T) {
	s := newSky(t)
	s.Publish("dev-1/kept", 0, true, []byte("before"))
	r := launch(t, "monitor", "--mqtt", "mqtt://"+s.address+"/dev-1")
	all := launch(t, "monitor", "--json", "--mqtt", "mqtt://"+s.address)
	r.log.waitFor(t, "listening to dev-1/# and $aws/things/dev-1/shadow/#")
	all.log.waitFor(t, "listening to # and $aws/things/#")
	s.Publish("dev-2/x", 1, false, []byte("other"))
	s.Publish("dev-1/x", 1, false, []byte(`{"a":[1]}`))
	s.Publish("dev-1/bin", 0, false, []byte{0xff, 0})
	if err := s.SetDesired("dev-1", `{"on":true}`); err != nil {
		t.Fatal(err)
	}
	r.out.waitFor(t, "dev-1/kept (retained) before\n")
	text := r.out.waitFor(t, "$aws/things/dev-1/shadow/update/delta {")
	wants(t, text, `dev-1/x {"a":[1]}`+"\n", `dev-1/bin "\xff\x00"`+"\n")
	if strings.Contains(text, "other") {
		t.Errorf("the messages of others are shown:\n%s", text)
	}
	text = all.out.waitFor(t, `"topic":"$aws/things/dev-1/shadow/update/delta","payload":{`)
	wants(t, text, `"topic":"dev-2/x","payload":"other","qos":1}`, `"topic":"dev-1/x","payload":{"a":[1]},"qos":1}`, `"topic":"dev-1/bin","base64":"/wA="}`)

	for s.Stats().Pubacks == 0 { // else the test hangs
		time.Sleep(time.Millisecond)
	}

	// After an outage it goes on by itself.
	s.Stop()
	r.log.waitFor(t, "cloud: "+s.address+": ")
	s.Start()
	r.log.waitFor(t, "connected to "+s.address)
	s.Publish("dev-1/x", 1, false, []byte("again"))
	r.out.waitFor(t, "dev-1/x again\n")
	r.interrupt(t)
	all.interrupt(t)
	if log := r.log.String(); strings.HasSuffix(log, "stopped\n") {
		t.Errorf("the end is told:\n%s", log)
	}
}

func TestMonitorMQTTFails(t *testing.T) {
	s := newSky(t)
	s.Deny("dev-1/#")
	_, _, err := try(t, "monitor", "--mqtt", "mqtt://"+s.address+"/dev-1")
	if err == nil || !strings.Contains(err.Error(), "refuses the subscription to dev-1/#") {
		t.Errorf("denied: %v", err)
	}
	s.Refuse(4)
	_, _, err = try(t, "monitor", "--mqtt", "mqtt://"+s.address+"/dev-1")
	if err == nil || !strings.Contains(err.Error(), "refuses the user name or password") {
		t.Errorf("refused: %v", err)
	}
}

// TestMonitorOutputFails: a pipe that is closed ends it.
func TestMonitorOutputFails(t *testing.T) {
	address := serve(t, func(ctx context.Context, port framing.Port) {
		for ctx.Err() == nil {
			if _, err := io.WriteString(port, "{\"a\":1}\n"); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	if err := run(t.Context(), []string{"monitor", address}, &fullWriter{50}, io.Discard); err == nil || exitCode(err) != 1 {
		t.Errorf("got %v", err)
	}
}
