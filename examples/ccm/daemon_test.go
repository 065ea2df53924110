package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// TestRun: the module of the program, with two hosts and a broker on TCP.
func TestRun(t *testing.T) {
	s := newSky(t)
	first := serveHost(t, ccmtest.MCUOptions{})
	second := serveHost(t, ccmtest.MCUOptions{Generation: ccmtest.GenModern, BootText: "hello\n"})
	r := launch(t, "run", "--id", "dev-9", "--host", first, "--host", "pump="+second, "--mqtt", "mqtt://"+s.address, "--shadow", "aws", "--verbose")
	r.log.waitFor(t, `msg="module starts" id=dev-9`)
	r.log.waitFor(t, `msg="host ready" host=""`)
	r.log.waitFor(t, `msg="host ready" host=pump`)
	r.log.waitFor(t, "connected")
	for method, want := range map[string]string{"Sum": "5\n", "pump/Sum": "5\n", "host/Sum": "5\n"} {
		out, _, err := try(t, "call", "--port", "mqtt://"+s.address+"/dev-9", method, "[2,3]")
		if err != nil || out != want {
			t.Errorf("%s: %q, %v", method, out, err)
		}
	}
	if err := s.SetDesired("dev-9", `{"on":true}`); err != nil {
		t.Fatal(err)
	}
	log := r.log.waitFor(t, `Shadow.Delta`)
	wants(t, log, `msg="frame sent" host=pump`, `text=hello`)
	if clients := s.Clients(); !slices.Contains(clients, "dev-9") {
		t.Errorf("clients of the broker: %q", clients)
	}
	if r.out.String() != "" {
		t.Errorf("printed %q", r.out)
	}
	r.interrupt(t)
}

// The password comes from a file, or from the environment; and is never shown.
func TestRunPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte("hush-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(passwordEnv, "hush-2")
	for _, c := range []struct{ user, flags, want string }{
		{"", "--mqtt-user u --mqtt-pass-file " + file, "u hush-1"},
		{"", "--mqtt-user u", "u hush-2"},
		{"v:hush-3@", "", "v hush-3"},
		{"v@", "", "v hush-2"},
		{"v:hush-3@", "--mqtt-pass-file " + file, "v hush-1"},
		{"", "", " "},
	} {
		seen := make(chan string, 10)
		s := newSkyWith(t, ccmtest.BrokerOptions{Connect: func(e ccmtest.BrokerEvent, password []byte) byte {
			seen <- e.Username + " " + string(password)
			return 0
		}})
		args := "run --verbose --id a --host tcp:127.0.0.1:1 --mqtt mqtt://" + c.user + s.address + " " + c.flags
		r := launch(t, strings.Fields(args)...)
		if got := <-seen; got != c.want {
			t.Errorf("%s: %q", args, got)
		}
		r.interrupt(t)
		if log := r.log.String(); strings.Contains(log, "hush") {
			t.Errorf("logged:\n%s", log)
		}
	}
}

// Neither port nor broker is there: it goes on trying, and ends when it is told
// to.
func TestRunAlone(t *testing.T) {
	r := launch(t, "run", "--id", "a", "--host", "/no/such/port", "--mqtt", "mqtt://127.0.0.1:1")
	r.log.waitFor(t, "/no/such/port")
	r.log.waitFor(t, "127.0.0.1:1")
	r.interrupt(t)
}
