package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// TestShadows: a device at a broker that knows nothing of shadows has one, which
// the directory keeps.
func TestShadows(t *testing.T) {
	b := ccmtest.NewBroker(ccmtest.BrokerOptions{})
	t.Cleanup(func() { b.Close() })
	address := serveBroker(t, b)
	dir := filepath.Join(t.TempDir(), "shadows")
	mcu := ccmtest.MCUOptions{Generation: ccmtest.GenModern}
	device := launch(t, "run", "--id", "dev-9", "--host", serveHost(t, mcu), "--mqtt", "mqtt://"+address, "--shadow", "aws", "--verbose")
	device.log.waitFor(t, "connected")
	for range 2 { // the second time from the directory
		s := launch(t, "shadows", "--mqtt", "mqtt://"+address, "--dir", dir, "--verbose")
		s.log.waitFor(t, `msg="shadow online"`)
		b.Publish("$aws/things/dev-9/shadow/update", 1, false, []byte(`{"state":{"desired":{"on":true}}}`))
		s.log.waitFor(t, `msg="shadow accepted" thing=dev-9`)
		s.interrupt(t)
		wants(t, s.log.String(), `msg="shadow service has stopped"`)
	}
	wants(t, device.log.waitFor(t, "Shadow.Delta"), `msg="frame sent"`)
	device.interrupt(t)
	if files, err := os.ReadDir(dir); err != nil || len(files) == 0 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// TestShadowsUsage: what is refused before anything is started.
func TestShadowsUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"shadows"}, "--mqtt is missing"},
		{[]string{"shadows", "--mqtt", "mqtt://localhost/dev-1"}, "for all devices"},
		{[]string{"shadows", "--mqtt", "http://localhost"}, `unknown scheme "http"`},
		{[]string{"shadows", "--mqtt", "mqtt://localhost", "more"}, "more"},
		{[]string{"shadows", "--mqtt", "mqtt://localhost", "--dir", file}, file},
	} {
		_, _, err := try(t, c.args...)
		if err == nil {
			t.Errorf("%q: no error", c.args)
			continue
		}
		wants(t, err.Error(), c.want)
	}
}
