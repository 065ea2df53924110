package config_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// failing makes all operations of a kind on a file fail while f runs; "" is any file.
func failing(disk *faultfs.FS, kind faultfs.Kind, name string, f func() error) error {
	disk.Fail(func(op faultfs.Op) error {
		if op.Kind == kind && (name == "" || op.Name == dir+"/"+name) {
			return syscall.EIO
		}
		return nil
	})
	defer disk.Fail(nil)
	return f()
}

// TestUnknownFile fails in ways after which nobody knows what is in a file; what was
// in it before must be written again if that is what is wanted.
func TestUnknownFile(t *testing.T) {
	update := func(s *config.Store, value string, o config.SaveOptions) func() error {
		return func() error { return s.Update(setKey("mqtt.user", `"`+value+`"`), &o) }
	}
	expect := func(disk *faultfs.FS, want string) {
		t.Helper()
		if got := open(t, disk.Restart(intact), config.Options{}).String("mqtt.user"); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	begin := func() (*faultfs.FS, *config.Store) {
		disk := faultfs.New()
		s := open(t, disk, config.Options{})
		must(t, update(s, "one", normal)())
		return disk, s
	}
	fails := func(err error) {
		t.Helper()
		if !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	}
	disk, s := begin()
	fails(failing(disk, faultfs.SyncDir, "", update(s, "two", normal)))
	expect(disk, "two") // the name was not durable, but is there
	must(t, s.Save(normal))
	expect(disk, "one")

	disk, s = begin()
	must(t, update(s, "trial", once)())
	fails(failing(disk, faultfs.SyncDir, "", update(s, "other", once)))
	must(t, s.Save(once))
	expect(disk, "trial")

	disk, s = begin()
	fails(failing(disk, faultfs.SyncDir, "", update(s, "trial", once)))
	expect(disk, "trial")
	must(t, s.Save(normal))
	expect(disk, "one")

	disk, s = begin()
	fails(failing(disk, faultfs.SyncDir, "", s.FactoryReset))
	if s.String("mqtt.user") != "one" {
		t.Error("reset all the same")
	}
	must(t, s.Save(normal))
	expect(disk, "one")

	disk, s = begin()
	must(t, update(s, "trial", once)())
	must(t, s.FactoryReset())
	must(t, update(s, "trial", once)())
	expect(disk, "trial")

	disk, s = begin()
	must(t, update(s, "trial", once)())
	fails(failing(disk, faultfs.Remove, "conf9.json", s.FactoryReset))
	must(t, update(s, "one", once)())
	expect(disk, "one")
	must(t, s.FactoryReset())
	expect(disk, "")
}

// TestResetOrder looks at the order of what a reset does: power may fail in between, and
// of changes that were not made durable the later ones may survive without the
// earlier.
func TestResetOrder(t *testing.T) {
	disk := faultfs.New()
	withUser(normal)(t, disk)
	s := open(t, disk, config.Options{})
	must(t, s.Update(big("tryY"), &once))
	put(t, disk, "conf.json", `{}`)
	first := len(disk.Ops())
	must(t, s.FactoryReset())
	var done []string
	for _, op := range disk.Ops()[first:] {
		done = append(done, string(op.Kind)+" "+op.Name)
	}
	want := []string{
		"remove " + dir + "/conf.json", "syncdir " + dir,
		"remove " + dir + "/conf9.json.tmp", "remove " + dir + "/conf9.json.try.tmp", "remove " + dir + "/conf9.json.bad", // were not there
		"rename " + dir + "/conf9.json.try", "syncdir " + dir,
		"remove " + dir + "/conf9.json", "syncdir " + dir,
	}
	if !slices.Equal(done, want) {
		t.Errorf("%q", done)
	}
}
