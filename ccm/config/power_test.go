package config_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// The tests named C1 to C9 are those of spec/reliability.md 1.3.

// scenario is something done to a disk, during which power may fail.
type scenario struct {
	name    string
	options config.Options
	prepare func(t *testing.T, disk *faultfs.FS)
	run     func(disk config.FS, o config.Options) error
	// first, if set, is the first of two steps of run, between which a state of its
	// own is legitimate.
	first func(disk config.FS, o config.Options) error
	// after checks a disk on which run was completed.
	after func(t *testing.T, disk *faultfs.FS)
}

// opened runs f on the store.
func opened(f func(s *config.Store) error) func(config.FS, config.Options) error {
	return func(disk config.FS, o config.Options) error {
		s, err := start(disk, o)
		if err != nil {
			return err
		}
		return f(s)
	}
}

// big is a change that makes a file of about two KiB.
func big(mark string) config.Change {
	return set(`{"device":{"sn":"` + mark + `"},"wifi":{"sta":{"enable":true,"ssid":"` + mark + `","pass":"` + mark + `-secret"}},
		"mqtt":{"enable":true,"server":"` + strings.Repeat(mark, 220) + `","user":"` + mark + `","pass":"` + mark + `-secret"},
		"http":{"extra_headers":"` + strings.Repeat(mark, 200) + `"}}`)
}

const (
	vendor3 = `{"conf_acl":"-update.*,*","dash":{"token":"vendor-secret"}}`
	vendor5 = "{\n\n\"mqtt\":{\"server\":\"vendor:1883\",\"keep_alive\":5}}"
)

func vendorFiles(t *testing.T, disk *faultfs.FS) {
	put(t, disk, "conf3.json", vendor3)
	put(t, disk, "conf5.json", vendor5)
}

func withUser(save ...config.SaveOptions) func(*testing.T, *faultfs.FS) {
	return func(t *testing.T, disk *faultfs.FS) {
		vendorFiles(t, disk)
		s := open(t, disk, config.Options{})
		for i, o := range save {
			must(t, s.Update(big("old"+string(rune('A'+i))), &o))
		}
	}
}

func save(o config.SaveOptions) func(config.FS, config.Options) error {
	return opened(func(s *config.Store) error { return s.Update(big("newX"), &o) })
}

func reset(disk config.FS, o config.Options) error {
	return opened((*config.Store).FactoryReset)(disk, o)
}

// nothing only starts.
func nothing(disk config.FS, o config.Options) error {
	return opened(func(*config.Store) error { return nil })(disk, o)
}

// tried saves for one start.
func tried(disk config.FS, o config.Options) error {
	return opened(func(s *config.Store) error { return s.Update(big("tryY"), &once) })(disk, o)
}

func noUserSecrets(t *testing.T, disk *faultfs.FS) {
	if all := files(t, disk); strings.Contains(strings.ReplaceAll(all, "vendor-secret", ""), "secret") {
		t.Errorf("secrets are left:\n%s", all)
	}
}

var (
	normal = config.SaveOptions{}
	once   = config.SaveOptions{TryOnce: true}
)

// TestC1Power cuts power at every operation and byte of a save.
func TestC1Power(t *testing.T) {
	cut(t, scenario{name: "first save", prepare: vendorFiles, run: save(normal)})
	cut(t, scenario{name: "save", prepare: withUser(normal), run: save(normal)})
	cut(t, scenario{name: "encrypted", options: config.Options{RootKey: rootKey}, prepare: withUser(normal), run: save(normal)})
}

// TestC2Power does the same to everything else that writes.
func TestC2Power(t *testing.T) {
	for _, s := range []scenario{
		{name: "reset", prepare: withUser(normal), run: reset, after: noUserSecrets},
		{name: "reset after a start with a trial", prepare: withUser(normal, once), first: nothing, run: reset, after: noUserSecrets},
		{name: "reset with leftovers", prepare: func(t *testing.T, disk *faultfs.FS) {
			withUser(normal)(t, disk)
			for _, name := range []string{"conf.json", "conf9.json.tmp", "conf9.json.try.tmp"} {
				put(t, disk, name, `{"device":{"sn":"left"},"mqtt":{"pass":"left-secret"}}`)
			}
		}, run: reset, after: noUserSecrets},
		{name: "reset with a trial", prepare: withUser(normal), first: tried, run: opened(func(s *config.Store) error {
			if err := s.Update(big("tryY"), &once); err != nil {
				return err
			}
			return s.FactoryReset()
		}), after: noUserSecrets},
		{name: "save for one start", prepare: withUser(normal), run: save(once)},
		{name: "save for one start again", prepare: withUser(normal), first: tried, run: opened(func(s *config.Store) error {
			if err := s.Update(big("tryY"), &once); err != nil {
				return err
			}
			return s.Update(big("newX"), &once)
		})},
		{name: "start with a trial", prepare: withUser(normal, once), run: nothing},
		{name: "save over a trial", prepare: withUser(normal), first: tried, run: opened(func(s *config.Store) error {
			if err := s.Update(big("tryY"), &once); err != nil {
				return err
			}
			return s.Update(big("newX"), &normal)
		})},
		{name: "level 6", prepare: withUser(normal), run: opened(func(s *config.Store) error {
			c := big("newX")
			c.Level = 6
			return s.Update(c, &config.SaveOptions{})
		})},
		{name: "migration", prepare: func(t *testing.T, disk *faultfs.FS) {
			vendorFiles(t, disk)
			put(t, disk, "conf.json", `{"device":{"sn":"old"},"mqtt":{"pass":"old-secret"}}`)
		}, run: nothing},
	} {
		cut(t, s)
	}
}

// cut runs a scenario with a cut at each operation and byte, and starts again in
// all ways in which a disk can be found then.
func cut(t *testing.T, sc scenario) {
	t.Run(sc.name, func(t *testing.T) {
		ready := faultfs.New()
		sc.prepare(t, ready)
		whole := ready.Restart(intact)
		must(t, sc.run(whole, sc.options))
		ops := whole.Ops()
		old, done := boot(t, ready.Restart(intact), sc.options), boot(t, whole.Restart(intact), sc.options)
		between := old
		if sc.first != nil {
			disk := ready.Restart(intact)
			must(t, sc.first(disk, sc.options))
			between = boot(t, disk, sc.options)
		}
		cuts := 0
		for _, op := range ops {
			for bytes := 0; bytes <= op.Size; bytes++ {
				if heavy(10) == 1 && bytes%10 != 0 && bytes != op.Size {
					continue
				}
				disk := ready.Restart(intact)
				disk.CutAt(op.N, bytes)
				err := sc.run(disk, sc.options)
				for _, loss := range faultfs.Losses() {
					cuts++
					after := disk.Restart(loss)
					got := boot(t, after, sc.options)
					if got != done && (got != old && got != between || err == nil && !strings.HasPrefix(sc.name, "start")) {
						t.Fatalf("cut at %+v, %d bytes, %s: %v, and a third state:\n%s", op, bytes, loss.Name, err, files(t, after))
					}
					if get(after, "conf3.json") != vendor3 || get(after, "conf5.json") != vendor5 {
						t.Fatalf("cut at %+v, %d bytes, %s: a vendor's level has changed:\n%s", op, bytes, loss.Name, files(t, after))
					}
				}
			}
		}
		acknowledged(t, sc, ready, done)
		t.Logf("%d cuts in %d operations", cuts, len(ops))
	})
}

// intact is the loss of nothing: a restart with it is a copy of a disk.
var intact = faultfs.Losses()[0]

// acknowledged demands that nothing is lost when power fails after the end.
func acknowledged(t *testing.T, sc scenario, ready *faultfs.FS, want string) {
	for _, loss := range faultfs.Losses() {
		disk := ready.Restart(intact)
		must(t, sc.run(disk, sc.options))
		after := disk.Restart(loss)
		if got := boot(t, after, sc.options); got != want {
			t.Errorf("%s after the end: lost:\n%s", loss.Name, files(t, after))
		}
		if sc.after != nil {
			sc.after(t, after)
		}
	}
}

// boot returns the live configuration of a start, which must find nothing wrong.
func boot(t *testing.T, disk *faultfs.FS, o config.Options) string {
	s := open(t, disk, o)
	for _, p := range s.Problems() {
		if p.File != "conf.json" { // not used, as there is conf9.json
			t.Fatalf("%v\n%s", p, files(t, disk))
		}
	}
	return tree(t, s)
}

// TestC3Errors makes each operation fail in turn, in three ways: the error is
// returned, the live configuration stays, the files are old or new, and the next
// attempt works.
func TestC3Errors(t *testing.T) {
	actions := map[string]func(s *config.Store) error{
		"save":   func(s *config.Store) error { return s.Save(config.SaveOptions{}) },
		"update": func(s *config.Store) error { return s.Update(big("newX"), &config.SaveOptions{}) },
		"once":   func(s *config.Store) error { return s.Save(config.SaveOptions{TryOnce: true}) },
		"level": func(s *config.Store) error {
			return s.Update(config.Change{Config: big("newX").Config, Vendor: true, Level: 7}, &config.SaveOptions{})
		},
		"reset": func(s *config.Store) error { return s.FactoryReset() },
	}
	for name, action := range actions {
		for _, trial := range []bool{false, true} {
			t.Run(name, func(t *testing.T) { failEach(t, action, trial) })
		}
	}
}

// failEach makes each operation of an action fail.
func failEach(t *testing.T, action func(*config.Store) error, trial bool) {
	prepare := func() (*faultfs.FS, *config.Store, string) {
		disk := faultfs.New()
		withUser(normal)(t, disk)
		s := open(t, disk, config.Options{RootKey: rootKey})
		if trial {
			must(t, s.Update(big("tryY"), &once))
		}
		old := boot(t, disk.Restart(intact), config.Options{RootKey: rootKey})
		must(t, s.Set(setKey("mqtt.user", `"unsaved"`)))
		return disk, s, old
	}
	disk, s, _ := prepare()
	first := len(disk.Ops())
	must(t, action(s))
	wanted := tree(t, s)
	ops := disk.Ops()[first:]
	fresh := boot(t, disk.Restart(intact), config.Options{RootKey: rootKey})
	for i, op := range ops {
		for _, errno := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
			disk, s, old := prepare()
			live := tree(t, s)
			disk.Fail(func(o faultfs.Op) error {
				if o.N == first+i || errno == syscall.EROFS && o.N > first+i {
					return errno
				}
				return nil
			})
			err := action(s)
			disk.Fail(nil)
			if !errors.Is(err, errno) {
				t.Errorf("%v at %+v: %v", errno, op, err)
			}
			if tree(t, s) != live {
				t.Errorf("%v at %+v: the live configuration has changed", errno, op)
			}
			for _, loss := range faultfs.Losses() {
				if got := boot(t, disk.Restart(loss), config.Options{RootKey: rootKey}); got != old && got != fresh {
					t.Errorf("%v at %+v, %s: a third state\n%s", errno, op, loss.Name, files(t, disk.Restart(loss)))
				}
			}
			if err := action(s); err != nil || tree(t, s) != wanted {
				t.Errorf("%v at %+v: then %v", errno, op, err)
			}
			for _, loss := range faultfs.Losses() {
				if got := boot(t, disk.Restart(loss), config.Options{RootKey: rootKey}); got != fresh {
					t.Errorf("%v at %+v, %s: the second attempt is lost", errno, op, loss.Name)
				}
			}
		}
	}
	t.Logf("%d operations", len(ops))
}

// TestC3Open makes each operation of Open fail: it fails or starts with what it can
// read, and tells.
func TestC3Open(t *testing.T) {
	ready := faultfs.New()
	withUser(normal, once)(t, ready)
	whole := ready.Restart(intact)
	open(t, whole, config.Options{})
	for _, op := range whole.Ops() {
		if op.Kind == faultfs.Close {
			continue // of a file that was read
		}
		for _, errno := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
			disk := ready.Restart(intact)
			disk.Fail(func(o faultfs.Op) error {
				if o.N == op.N {
					return errno
				}
				return nil
			})
			s, err := start(disk, config.Options{})
			disk.Fail(nil)
			switch {
			case err != nil && (!errors.Is(err, errno) || s != nil):
				t.Errorf("%v at %+v: %v", errno, op, err)
			case err == nil && len(s.Problems()) == 0 && !strings.HasSuffix(op.Name, "conf.json") && op.Kind != faultfs.SyncDir:
				t.Errorf("%v at %+v: nothing is told", errno, op)
			case err == nil:
				must(t, s.Update(setKey("mqtt.user", `"later"`), &normal))
				if again := open(t, disk, config.Options{}); again.String("mqtt.user") != "later" {
					t.Errorf("%v at %+v: nothing can be saved then", errno, op)
				}
			}
		}
	}
}

// TestDamagedIsKept: a file that cannot be understood stays beside the one that takes
// its place, once, until the device is reset.
func TestDamagedIsKept(t *testing.T) {
	disk := faultfs.New()
	withUser(normal)(t, disk)
	put(t, disk, "conf9.json", `{"mqtt":`)
	s := open(t, disk, config.Options{})
	if got := get(disk, "conf9.json.bad"); got != "-" {
		t.Errorf("before a save: %q", got)
	}
	must(t, s.Update(set(`{"mqtt":{"user":"a"}}`), &normal))
	must(t, s.Update(set(`{"mqtt":{"user":"b"}}`), &normal))
	if got := get(disk, "conf9.json.bad"); got != `{"mqtt":` {
		t.Errorf("kept: %q", got)
	}
	if again := open(t, disk, config.Options{}); again.String("mqtt.user") != "b" || len(again.Problems()) > 0 {
		t.Errorf("%q, %v", again.String("mqtt.user"), again.Problems())
	}
	must(t, s.FactoryReset())
	if got := get(disk, "conf9.json.bad"); got != "-" {
		t.Errorf("after a reset: %q", got)
	}
}

// TestC4Corrupt changes every byte of a file to others, and cuts it at every byte: a
// start finds the rest of the configuration, and a save works.
func TestC4Corrupt(t *testing.T) {
	ready := faultfs.New()
	withUser(normal)(t, ready)
	good := get(ready, "conf9.json")
	vendorOnly := func(s *config.Store) bool {
		return s.String("mqtt.server") == "vendor:1883" && s.Int("mqtt.keep_alive") == 5 && s.String("device.sn") == ""
	}
	tries, fallbacks := 0, 0
	try := func(text string) {
		disk := ready.Restart(intact)
		put(t, disk, "conf9.json", text)
		s := open(t, disk, config.Options{})
		tries++
		for _, p := range s.Problems() {
			if p.Key == "" && p.File == "conf9.json" {
				fallbacks++
				if !vendorOnly(s) {
					t.Fatalf("no fall-back: %s", text)
				}
			}
		}
		if s.Int("mqtt.keep_alive") != 5 || s.String("dash.token") != "vendor-secret" {
			t.Fatalf("a vendor's level is lost: %s", text)
		}
		if tries%50 == 0 {
			must(t, s.Update(set(`{"wifi":{"sta":{"enable":false}},"mqtt":{"user":"again"}}`), &normal))
			if again := open(t, disk, config.Options{}); again.String("mqtt.user") != "again" || len(again.Problems()) > 0 {
				t.Fatalf("%v\n%s", again.Problems(), get(disk, "conf9.json"))
			}
		}
	}
	step := 10 / heavy(10) // of the values of a byte: all of them, or a tenth
	for i := range good {
		try(good[:i])
		for b := i % step; b < 256; b += step {
			if byte(b) != good[i] {
				try(good[:i] + string([]byte{byte(b)}) + good[i+1:])
			}
		}
	}
	t.Logf("%d bytes, %d files, %d fall-backs", len(good), tries, fallbacks)
	if fallbacks < len(good) {
		t.Errorf("%d fall-backs only", fallbacks)
	}
}

// TestC8Writes counts what a save costs.
func TestC8Writes(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, config.Options{RootKey: rootKey})
	count := func(f func() error) (writes, syncs int) {
		first := len(disk.Ops())
		must(t, f())
		for _, op := range disk.Ops()[first:] {
			switch op.Kind {
			case faultfs.Write:
				writes++
			case faultfs.Sync, faultfs.SyncDir:
				syncs++
			case faultfs.Open, faultfs.Read, faultfs.Close, faultfs.Create, faultfs.Rename:
			default:
				t.Errorf("%+v", op)
			}
		}
		return writes, syncs
	}
	save := func() error { return s.Save(normal) }
	if w, n := count(save); w+n != 0 {
		t.Errorf("nothing to save: %d writes, %d syncs", w, n)
	}
	for i := range 20 {
		if w, n := count(func() error { return s.Update(big("round"+string(rune('A'+i))), &normal) }); w != 1 || n != 2 {
			t.Errorf("%d writes, %d syncs", w, n)
		}
		for _, f := range []func() error{save, func() error { return s.Update(big("round"+string(rune('A'+i))), &normal) },
			func() error { return s.Save(config.SaveOptions{Level: 5}) }} {
			if w, n := count(f); w+n != 0 {
				t.Errorf("nothing has changed: %d writes, %d syncs", w, n)
			}
		}
	}
	s = open(t, disk, config.Options{RootKey: rootKey})
	if w, n := count(save); w+n != 0 {
		t.Errorf("after a start: %d writes, %d syncs", w, n)
	}
}
