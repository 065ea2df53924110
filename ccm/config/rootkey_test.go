package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
)

// TestKeyFile opens a store with key files of all kinds.
func TestKeyFile(t *testing.T) {
	base := t.TempDir()
	conf := filepath.Join(base, "conf")
	must(t, os.Mkdir(conf, 0o700))
	name := filepath.Join(base, "key")
	write := func(name string, size int, mode os.FileMode) {
		t.Helper()
		os.Remove(name)
		must(t, os.WriteFile(name, []byte(strings.Repeat("k", size)), 0o600))
		must(t, os.Chmod(name, mode))
	}
	try := func(name string) (*config.Store, error) {
		return config.Open(t.Context(), config.Options{Dir: conf, RootKey: config.KeyFile(name)})
	}
	s, err := try(name)
	if err != nil || s.Status().AtRest != "plain" {
		t.Errorf("no file: %v", err)
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		write(name, 32, mode)
		if s, err := try(name); err != nil || s.Status().AtRest != "encrypted" {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o777} {
		write(name, 32, mode)
		if _, err := try(name); err == nil && runtime.GOOS != "windows" {
			t.Errorf("mode %o is taken", mode)
		}
	}
	if os.Geteuid() == 0 {
		write(name, 32, 0o600)
		must(t, os.Chown(name, 4711, -1))
		if _, err := try(name); err == nil {
			t.Error("the file of somebody else is taken")
		}
	}
	for _, size := range []int{0, 31, 33, 64} {
		write(name, size, 0o600)
		if _, err := try(name); err == nil || errors.Is(err, config.ErrNoRootKey) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, err := try(base); err == nil {
		t.Error("a directory is taken")
	}
	inside := filepath.Join(conf, "key")
	write(inside, 32, 0o600)
	below := filepath.Join(conf, "sub")
	must(t, os.Mkdir(below, 0o700))
	for _, bad := range []string{inside, filepath.Join(conf, "missing"), filepath.Join(below, "key"), filepath.Join(conf, "..", "conf", "key")} {
		if _, err := try(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	beside := filepath.Join(base, "conf.key")
	write(beside, 32, 0o600)
	if _, err := try(beside); err != nil {
		t.Error(err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(conf, link); err != nil {
		return // not everywhere
	}
	if _, err := try(filepath.Join(link, "key")); err == nil {
		t.Error("a link into the directory is taken")
	}
}

// TestSystemdCredential takes the key from where systemd puts it.
func TestSystemdCredential(t *testing.T) {
	dir := t.TempDir()
	provider := config.SystemdCredential()
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := provider.RootKey(t.Context()); !errors.Is(err, config.ErrNoRootKey) {
		t.Error(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if _, err := provider.RootKey(t.Context()); !errors.Is(err, config.ErrNoRootKey) {
		t.Error(err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "ccm-root-key"), []byte(strings.Repeat("s", 32)), 0o640)) // as with access lists
	if key, err := provider.RootKey(t.Context()); err != nil || key != [32]byte([]byte(strings.Repeat("s", 32))) {
		t.Error(err)
	}
}

// TestRealDisk uses the disk of the operating system.
func TestRealDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	o := config.Options{Dir: dir}
	s, err := config.Open(t.Context(), o)
	must(t, err)
	must(t, s.Update(setKey("wifi.sta.pass", `"password"`), &normal))
	again, err := config.Open(t.Context(), o)
	must(t, err)
	if again.String("wifi.sta.pass") != "password" || again.String("device.id") != "ccm_??????" {
		t.Error(tree(t, again))
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "conf9.json"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want && runtime.GOOS != "windows" {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	must(t, again.FactoryReset())
	if _, err := os.Stat(filepath.Join(dir, "conf9.json")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
