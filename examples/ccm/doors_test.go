package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// address finds where a door is open.
func (r *running) address(t *testing.T, door string) string {
	t.Helper()
	find := regexp.MustCompile(`door=` + door + ` address=(\S+)`)
	text := r.log.waitFor(t, `msg="module starts"`)
	m := find.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", door, text)
	}
	return strings.Replace(m[1], "[::]", "127.0.0.1", 1)
}

// TestDoors: every door of a daemon leads to the same module.
func TestDoors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	host := serveHost(t, ccmtest.MCUOptions{})
	s := newSky(t)
	r := launch(t, "run", "--state", dir, "--id", "dev-1", "--host", host, "--http", "0", "--tcp", "0", "--udp", "0", "--mqtt", "mqtt://"+s.address)
	web, tcp, udp := r.address(t, "--http"), r.address(t, "--tcp"), r.address(t, "--udp")
	r.log.waitFor(t, `msg="host ready"`)
	r.log.waitFor(t, "connected")
	for _, port := range []string{"ws://" + web, "ws://" + web + "/rpc", "http://" + web, "http://" + web + "/rpc", "tcp://" + tcp, "udp://" + udp, "mqtt://" + s.address + "/dev-1"} {
		t.Setenv(portEnv, port)
		for args, want := range map[string]string{
			"call Sum [2,3]":             "5\n",
			"call host/Sum [2,3]":        "5\n",
			"config get debug.level":     "2\n",
			"config get provision.led":   "{\n  \"pin\": -1,\n  \"active_high\": true\n}\n",
			"config get --level 0 mqtt1": "",
		} {
			if out, _, err := try(t, strings.Fields(args)...); err != nil || want != "" && out != want {
				t.Errorf("%s: %s: %q, %v", port, args, out, err)
			}
		}
		if out, _, err := try(t, "call", "Nope"); err == nil || !strings.Contains(err.Error(), "Nope: ") {
			t.Errorf("%s: %q, %v", port, out, err)
		}
	}
	r.interrupt(t)
}

// TestConfig: the configuration and the files of a daemon are changed from outside.
func TestConfig(t *testing.T) {
	dir := t.TempDir()
	r := launch(t, "run", "--state", dir, "--mac", "a0:b1:c2:a1:b2:c3", "--http", "0")
	t.Setenv(portEnv, "ws://"+r.address(t, "--http"))
	file := filepath.Join(dir, "up.bin")
	if err := os.WriteFile(file, []byte(strings.Repeat("0123456789", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	got := filepath.Join(dir, "down.bin")
	for _, c := range []struct{ args, out, log, err string }{
		{"config get device.id", "\"ccm_A1B2C3\"\n", "", ""},
		{"config set --no-reboot debug.level=3 wifi.sta.ssid=a=b mqtt.enable=false mqtt.reconnect_timeout_min=2.5", "", "saved\n", ""},
		{"config get debug.level", "3\n", "", ""},
		{"config get wifi.sta.ssid", "\"a=b\"\n", "", ""},
		{"config set --no-save debug.level=4", "", "changed, not saved\n", ""},
		{"config save", "", "saved\n", ""},
		{"config set --no-reboot nope=1", "", "", "nope: Config.Get: "},
		{"config set --no-reboot debug.level=x", "", "", `debug.level: want a number, not "x"`},
		{"config set --no-reboot wifi.sta.enable=x", "", "", `wifi.sta.enable: want true or false, not "x"`},
		{"config set --no-reboot wifi.sta=x", "", "", "wifi.sta: it is no single value"},
		{"config set --no-reboot debug.level=1 debug.level=2", "", "", "debug.level: it is set twice"},
		{"config set --no-reboot wifi.sta.enable=true wifi.sta.ssid=", "", "", "STA SSID must be between 1 and 32 chars"},
		{"config set --no-reboot --level 5 debug.level=1", "", "", "not allowed to set this level"},
		{"config set --no-reboot rpc.acl=garbage", "", "", "rpc.acl is not a JSON array of objects"},
		{"config get rpc.acl", "\"\"\n", "", ""},
		{"config set --no-reboot update.key0=x", "", "", "not allowed to set [update.key0]"},
		{"config get nope", "", "", "invalid config key [nope]"},
		{"fs put " + file, "", "", ""},
		{"fs put " + file + " other.bin", "", "", ""},
		{"fs ls", "    5000  other.bin\n    5000  up.bin\n", "", ""},
		{"fs get up.bin -o " + got, "", "", ""},
		{"fs mv up.bin new.bin", "", "", ""},
		{"fs rm other.bin", "", "", ""},
		{"fs rm other.bin", "", "", "other.bin"},
		{"fs get other.bin", "", "", "other.bin"},
		{"fs ls", "    5000  new.bin\n", "", ""},
		{"wifi status", "status        disconnected\nnetwork       none\naddress       none\naccess point  none\n", "", ""},
		{"wifi scan", "", "", "No handler for Wifi.Scan"},
		{"call Sys.SetDebug {\"level\":4}", "null\n", "", ""},
	} {
		out, log, err := try(t, strings.Fields(c.args)...)
		if out != c.out || log != c.log || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %q, %v", c.args, out, log, err)
		}
	}
	if data, err := os.ReadFile(got); err != nil || string(data) != strings.Repeat("0123456789", 500) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	r.interrupt(t)
	var stored map[string]any
	if data, err := os.ReadFile(filepath.Join(dir, "conf9.json")); err != nil || json.Unmarshal(data, &stored) != nil || len(stored) != 3 {
		t.Errorf("%s, %v", data, err)
	}
}

// TestFirstPassword: a door to other machines has a password, printed once and
// demanded at every door.
func TestFirstPassword(t *testing.T) {
	dir := t.TempDir()
	r := launch(t, "run", "--state", dir, "--http", "0.0.0.0:0", "--tcp", "0", "--udp", "0")
	web, tcp, udp := r.address(t, "--http"), r.address(t, "--tcp"), r.address(t, "--udp")
	web = "127.0.0.1" + web[strings.LastIndex(web, ":"):]
	m := regexp.MustCompile(`^user admin, password ([a-z2-7]{16}) \(it is not shown again\)\n$`).FindStringSubmatch(r.out.String())
	if m == nil || strings.Contains(r.log.String(), m[1]) {
		t.Fatalf("printed %q", r.out)
	}
	file := filepath.Join(dir, "pw")
	if err := os.WriteFile(file, []byte(m[1]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := []struct{ env, flags string }{{"wrong", ""}, {m[1], "--user joe"}} // a fifth one would lock us out
	for i, port := range []string{"ws://" + web, "http://" + web, "tcp://" + tcp, "udp://" + udp} {
		for _, c := range []struct {
			env, flags, want string
		}{
			{"", "", errNoPassword.Error()},
			{wrong[i%2].env, wrong[i%2].flags, errLogin.Error()},
			{m[1], "", ""},
			{"", "--password-file " + file, ""},
			{"", "--password-file " + file + ".not", "no such file"},
		} {
			t.Setenv(adminEnv, c.env)
			out, log, err := try(t, strings.Fields("call --port "+port+" "+c.flags+" Sys.Time")...)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || strings.Contains(out+log, m[1]) {
				t.Errorf("%s, %q, %s: %q, %v", port, c.env, c.flags, out, err)
			}
		}
	}
	r.interrupt(t)

	again := launch(t, "run", "--state", dir, "--http", "0.0.0.0:0")
	again.address(t, "--http")
	again.interrupt(t)
	if again.out.String() != "" {
		t.Errorf("the second start prints %q", again.out)
	}
}

// TestURLPassword: a password in the URL is used, and not shown.
func TestURLPassword(t *testing.T) {
	_, _, err := try(t, "call", "--port", "ws://joe:hush@127.0.0.1:1/rpc", "Sum")
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

// TestDaemonUsage: doors need a state, and addresses that there are.
func TestDaemonUsage(t *testing.T) {
	dir := t.TempDir()
	for args, want := range map[string]string{
		"run --id a --host tcp:127.0.0.1:1 --mqtt mqtt://127.0.0.1:1 --http 0": "--http and the like need --state",
		"run --state " + dir + " --http nonsense:port":                         "--http: ",
		"run --state " + dir + " --https 0":                                    "--https needs --https-cert",
		"run --state " + dir + " --rpc-serial gopher://x":                      "--rpc-serial: ",
		"run --state /dev/null/x":                                              "--state: ",
		"run --state " + dir + " --root-key " + dir + "/key":                   "",
	} {
		if runtime.GOOS == "windows" {
			t.Skip("paths are others")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		var out, log strings.Builder
		err := run(ctx, strings.Fields(args), &out, &log)
		cancel()
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// TestRestart: Sys.Reboot, and a change that is saved, start the program anew, in its
// place.
func TestRestart(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a program does not take its own place there")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "ccm")
	if text, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	r := &running{out: newOutput(), log: newOutput()}
	cmd := exec.CommandContext(t.Context(), program, "run", "--state", dir, "--http", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = r.out, r.log, 10*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i, args := range [][]string{{"call", "Sys.Reboot"}, {"config", "set", "debug.level=3"}} {
		started := func() int { return strings.Count(r.log.String(), `msg="module starts"`) }
		for started() <= i {
			time.Sleep(time.Millisecond)
		}
		all := regexp.MustCompile(`address=(\S+)`).FindAllStringSubmatch(r.log.String(), -1)
		if _, _, err := try(t, append(args, "--port", "ws://"+all[i][1])...); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); strings.Count(r.log.String(), `msg="module starts"`) < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not start again:\n%s", r.log)
		}
	}
	if n := strings.Count(r.log.String(), `msg="starting anew"`); n != 2 {
		t.Errorf("started anew %d times:\n%s", n, r.log)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v\n%s", err, r.log)
	}
}
