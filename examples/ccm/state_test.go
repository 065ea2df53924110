package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestStateLocked: two daemons do not share a state.
func TestStateLocked(t *testing.T) {
	dir := t.TempDir()
	first := launch(t, "run", "--state", dir, "--http", "0")
	first.address(t, "--http")
	if _, _, err := try(t, "run", "--state", dir, "--http", "0"); err == nil || !strings.Contains(err.Error(), "another ccm run uses it") {
		t.Errorf("the second: %v", err)
	}
	first.interrupt(t)
	again := launch(t, "run", "--state", dir, "--http", "0")
	again.address(t, "--http")
	again.interrupt(t)
}

// TestRootKeyMissing: a key that is not there is an error, but for a device that has
// lost the key of its secrets.
func TestRootKeyMissing(t *testing.T) {
	dir, key := t.TempDir(), filepath.Join(t.TempDir(), "key")
	if _, _, err := try(t, "run", "--state", dir, "--root-key", key); err == nil || !strings.Contains(err.Error(), "--root-key: stat "+key) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := launch(t, "run", "--state", dir, "--root-key", key, "--http", "0")
	port := "ws://" + r.address(t, "--http")
	if _, _, err := try(t, "config", "set", "--port", port, "--no-reboot", "dash.token=canary"); err != nil {
		t.Fatal(err)
	}
	r.interrupt(t)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	r = launch(t, "run", "--state", dir, "--root-key", key, "--http", "0")
	r.address(t, "--http")
	r.interrupt(t)
	if log := r.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, key) {
		t.Errorf("%s", log)
	}
}

// TestDamagedState: a damaged configuration neither opens a door nor costs the
// passwords.
func TestDamagedState(t *testing.T) {
	for _, door := range []string{"0", "0.0.0.0:0"} {
		dir := t.TempDir()
		r := launch(t, "run", "--state", dir, "--http", "0.0.0.0:0")
		r.address(t, "--http")
		r.interrupt(t)
		passwords, err := os.ReadFile(filepath.Join(dir, authFile))
		if err != nil {
			t.Fatal(err)
		}
		conf := filepath.Join(dir, "conf9.json")
		if err := os.Truncate(conf, 20); err != nil {
			t.Fatal(err)
		}
		r = launch(t, "run", "--state", dir, "--http", door)
		address := r.address(t, "--http")
		port := "http://127.0.0.1" + address[strings.LastIndex(address, ":"):]
		if _, _, err := try(t, "call", "--port", port, "Sys.GetInfo"); err == nil || !strings.Contains(err.Error(), errNoPassword.Error()) {
			t.Errorf("--http %s: a call without a password: %v", door, err)
		}
		r.interrupt(t)
		if now, err := os.ReadFile(filepath.Join(dir, authFile)); err != nil || string(now) != string(passwords) || r.out.String() != "" {
			t.Errorf("--http %s: the passwords are %q, %v; printed %q", door, now, err, r.out)
		}
	}
}

// TestFirstStartCut: whoever has not seen the first password gets another one.
func TestFirstStartCut(t *testing.T) {
	dir := t.TempDir()
	block := filepath.Join(dir, "conf9.json.tmp")
	if err := os.MkdirAll(filepath.Join(block, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, _, err := try(t, "run", "--state", dir, "--http", "0.0.0.0:0"); err == nil || out != "" {
		t.Fatalf("the configuration cannot be saved: %q, %v", out, err)
	}
	if err := os.RemoveAll(block); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and after a factory reset
		r := launch(t, "run", "--state", dir, "--http", "0.0.0.0:0")
		r.address(t, "--http")
		r.interrupt(t)
		if out := r.out.String(); !strings.HasPrefix(out, "user admin, password ") {
			t.Errorf("printed %q", out)
		}
		if err := os.Remove(filepath.Join(dir, "conf9.json")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBadThing: a name of a thing that cannot be one costs the shadow only.
func TestBadThing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "conf9.json"), []byte(`{"mqtt":{"enable":true,"server":"127.0.0.1:1"},"shadow":{"enable":true,"lib":"aws"},"aws":{"thing_name":"a?"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := launch(t, "run", "--state", dir, "--http", "0", "--host", "unix:/no/such")
	r.address(t, "--http")
	r.interrupt(t)
	if log := r.log.String(); !strings.Contains(log, "no shadow: aws.thing_name") {
		t.Errorf("%s", log)
	}
}

// TestPutWhole: a file that does not come to its end leaves the old one as it is, and
// nothing else.
func TestPutWhole(t *testing.T) {
	dir := t.TempDir()
	r := launch(t, "run", "--state", dir, "--http", "0")
	t.Setenv(portEnv, "ws://"+r.address(t, "--http"))
	put := func(size int) error {
		path := filepath.Join(t.TempDir(), "f.bin")
		if err := os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := try(t, "fs", "put", path)
		return err
	}
	if err := put(100_000); err != nil {
		t.Fatal(err)
	}
	if err := put(300_000); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("too large: %v", err)
	}
	if out, _, err := try(t, "fs", "ls"); out != "  100000  f.bin\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	long := filepath.Join(t.TempDir(), "long") // .part does not fit behind the name
	if err := os.WriteFile(long, []byte(strings.Repeat("y", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := try(t, "fs", "put", long, strings.Repeat("n", 62)); err != nil {
		t.Errorf("a long name: %v", err)
	}
	for i := range 62 { // there may be 64
		small := filepath.Join(t.TempDir(), "small")
		if err := os.WriteFile(small, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := try(t, "fs", "put", small, "s"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(50_000); err != nil {
		t.Errorf("no room for a second file: %v", err)
	}
	if out, _, _ := try(t, "fs", "ls"); !strings.Contains(out, "   50000  f.bin\n") || strings.Contains(out, partSuffix) {
		t.Errorf("%s", out)
	}
	r.interrupt(t)
}

// TestNoModule: what answers HTTP and is no module is told from one.
func TestNoModule(t *testing.T) {
	for body, want := range map[string]string{
		"<html></html>":       "answers something else (text/html; charset=utf-8): is it the RPC of a module?",
		"":                    "answers nothing: is it the RPC of a module?",
		`{"id":1,"result":2}`: "answers something else",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) }))
		if _, _, err := try(t, "call", "--port", s.URL, "Sum"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", body, err)
		}
		s.Close()
	}
}

// TestTooLongCall: whoever sends more than a module takes is told so.
func TestTooLongCall(t *testing.T) {
	r := launch(t, "run", "--state", t.TempDir(), "--http", "0", "--tcp", "0")
	params := `{"name":"` + strings.Repeat("x", 5000) + `"}`
	for _, port := range []string{"ws://" + r.address(t, "--http"), "tcp://" + r.address(t, "--tcp")} {
		_, _, err := try(t, "call", "--timeout", "500ms", "--port", port, "RPC.Describe", params)
		if err == nil || !strings.Contains(err.Error(), "the call has 5011 bytes; modules take 4096") {
			t.Errorf("%s: %v", port, err)
		}
	}
	r.interrupt(t)
}

// TestPasswordFromInput: - is standard input, which an interrupt ends.
func TestPasswordFromInput(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdin
	os.Stdin = in
	t.Cleanup(func() { os.Stdin = before; in.Close() })
	r := launch(t, "call", "--port", "tcp://127.0.0.1:1", "--password-file", "-", "Sum")
	r.cancel()
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("interrupted: %v", err)
	}
	out.Write([]byte("pass\n"))
	out.Close()
}
