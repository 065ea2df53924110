package service_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// open makes a service that is not run.
func open(t *testing.T, cfg service.Config) *service.Service {
	t.Helper()
	cfg.Transport = newBus()
	s, err := service.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustUpdate changes a shadow and returns the answer.
func mustUpdate(t *testing.T, s *service.Service, thing, name, state string) string {
	t.Helper()
	got, err := s.Update(t.Context(), thing, name, []byte(`{"state":`+state+`}`))
	if err != nil {
		t.Fatalf("%s %s %s: %v", thing, name, state, err)
	}
	return string(got)
}

// TestRestart stores shadows on the disk of the machine and starts again.
func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "shadows")
	s := open(t, service.Config{Dir: dir})
	names := []id{{"a", ""}, {"A", ""}, {"a", "A"}, {"a", "a"}, {"con", ""}, {"x:y", "Cfg-1_2"},
		{strings.Repeat("X", 128), strings.Repeat("Y", 64)}, {strings.Repeat("x", 128), strings.Repeat("y", 64)}}
	want := map[id]string{}
	for _, i := range names {
		mustUpdate(t, s, i.thing, i.name, `{"desired":{"n":"`+i.thing+"/"+i.name+`","x":9007199254740993,"l":[1.50,{"timestamp":2}]}}`)
		mustUpdate(t, s, i.thing, i.name, `{"reported":{"timestamp":{"timestamp":1e3},"e":{}}}`)
		got, _ := s.Get(i.thing, i.name)
		want[i] = string(got)
	}
	mustUpdate(t, s, "gone", "", `{"desired":{"a":1}}`)
	mustUpdate(t, s, "gone", "", `{"desired":{"a":2}}`)
	if err := s.Delete(t.Context(), "gone", ""); err != nil {
		t.Fatal(err)
	}

	if len(files(t, dir)) != len(names)+1 {
		t.Errorf("%q", files(t, dir))
	}
	s = open(t, service.Config{Dir: dir})
	for i, w := range want {
		got, err := s.Get(i.thing, i.name)
		if err != nil || withoutTimestamp(t, string(got)) != withoutTimestamp(t, w) {
			t.Errorf("%v: %s, %v\nwant %s", i, got, err, w)
		}
	}
	if _, err := s.Get("gone", ""); refusal(err) != 404 {
		t.Errorf("a deleted shadow: %v", err)
	}
	if got := mustUpdate(t, s, "gone", "", `{"desired":{"a":3}}`); string(raw(t, got)["version"]) != "3" {
		t.Errorf("its version does not go on: %s", got)
	}
	for _, info := range []string{dir, filepath.Join(dir, service.FileName("a", ""))} {
		stat, err := os.Stat(info)
		if err != nil || stat.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", info, stat.Mode(), err)
		}
	}
}

type id struct{ thing, name string }

// withoutTimestamp returns a payload without the time at which it was made.
func withoutTimestamp(t *testing.T, payload string) string {
	before, _, found := strings.Cut(payload, `,"timestamp":`+string(raw(t, payload)["timestamp"])+"}")
	if !found {
		t.Fatalf("no timestamp at the end of %s", payload)
	}
	return before
}

// TestFileNames makes the names of files, which must all be different for every
// file system, and go back.
func TestFileNames(t *testing.T) {
	for want, i := range map[string]id{
		"a~.json":                {"a", ""},
		"a~8.json":               {"A", ""},
		"a~.a~.json":             {"a", "a"},
		"lamp=1~8.cfg~.json":     {"Lamp:1", "cfg"},
		"con~.json":              {"con", ""},
		"-_0~.json":              {"-_0", ""},
		"abcdefgh~5a.x~8.json":   {"aBcDEfGh", "X"},
		"abcdefghij~00c.json":    {"abcdefghIJ", ""},
		"thing-0001~8.json~.jso": {},
	} {
		thing, name, ok := service.ParseFileName(want)
		if ok != (i.thing != "") || ok && (thing != i.thing || name != i.name || service.FileName(thing, name) != want) {
			t.Errorf("%s: %q %q %v; %+v is %s", want, thing, name, ok, i, service.FileName(i.thing, i.name))
		}
	}
	long := service.FileName(strings.Repeat("X", 128), strings.Repeat("X", 64))
	if len(long+".broken") > 255 || len(long+".tmp") > 255 {
		t.Errorf("%d bytes", len(long))
	}
	for _, file := range []string{"", "~.json", "a.json", "a~", "A~.json", "a~0.json", "a~80.json", "a~4.json", "a~8", "0~8.json",
		"a~..json", "a~.~.json", "a~.b~.c~.json", "a~.b.json", "..~.json", "a/b~.json", "a:~.json", "a~g.json", "a~8~8.json", "a~.json.broken"} {
		if thing, name, ok := service.ParseFileName(file); ok {
			t.Errorf("%q is taken for %q %q", file, thing, name)
		}
	}
}

// TestFiles starts with files that are not as the service left them.
func TestFiles(t *testing.T) {
	const good = `{"version":3,"timestamp":1700000000,"state":{"desired":{"a":1}},"stamps":{"desired":{"a":1600000000}}}`
	for name, f := range map[string]struct {
		content string
		want    string // get; "" if the file is broken
	}{
		"good":             {good, `{"state":{"desired":{"a":1},"delta":{"a":1}},"metadata":{"desired":{"a":{"timestamp":1600000000}}},"version":3`},
		"by hand":          {"{\n \"state\": {\"reported\": {\"b\": [1, 2]}},\n \"version\": 7,\n \"timestamp\": 5}\n", `{"state":{"reported":{"b":[1,2]}},"metadata":{"reported":{"b":[{"timestamp":5},{"timestamp":5}]}},"version":7`},
		"other stamps":     {strings.Replace(good, `{"a":16`, `{"b":16`, 1), `{"state":{"desired":{"a":1},"delta":{"a":1}},"metadata":{"desired":{"a":{"timestamp":1700000000}}},"version":3`},
		"stamps of a kind": {strings.Replace(good, `{"a":1600000000}`, `[]`, 1), `{"state":{"desired":{"a":1},"delta":{"a":1}},"metadata":{"desired":{"a":{"timestamp":1700000000}}},"version":3`},
		"members twice":    {strings.Replace(good, `{"a":1}`, `{"a":2,"a":1,"b":null}`, 1), `{"state":{"desired":{"a":1},"delta":{"a":1}},"metadata":{"desired":{"a":{"timestamp":1600000000}}},"version":3`},
		"empty sections":   {`{"version":3,"timestamp":9,"state":{"desired":{},"reported":null}}`, `{"state":{},"metadata":{},"version":3`},
		"empty":            {"", ""},
		"zeros":            {strings.Repeat("\x00", len(good)), ""},
		"half":             {good[:len(good)/2], ""},
		"rubbish":          {good + "x", ""},
		"no version":       {`{"timestamp":9,"state":{}}`, ""},
		"version 0":        {`{"version":0,"timestamp":9,"state":{}}`, ""},
		"version text":     {`{"version":"1","timestamp":9,"state":{}}`, ""},
		"no state":         {`{"version":1,"timestamp":9}`, ""},
		"state null":       {`{"version":1,"timestamp":9,"state":null}`, ""},
		"section":          {`{"version":1,"timestamp":9,"state":{"desired":1}}`, ""},
		"unknown section":  {`{"version":1,"timestamp":9,"state":{"x":{}}}`, ""},
		"deep":             {`{"version":1,"timestamp":9,"state":{"desired":` + nested(8) + `}}`, ""},
		"deleted text":     {`{"version":1,"timestamp":9,"deleted":"yes"}`, ""},
		"deleted and not":  {`{"version":1,"timestamp":9,"deleted":true,"state":{}}`, ""},
		"huge":             {good + strings.Repeat(" ", 1<<20), ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, service.FileName("t", ""))
			for _, file := range []string{path, path + ".tmp", filepath.Join(dir, "notes.txt"), filepath.Join(dir, "T~.json"), filepath.Join(dir, "x.tmp")} {
				if err := os.WriteFile(file, []byte(f.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(filepath.Join(dir, service.FileName("dir", "")), 0o700); err != nil {
				t.Fatal(err)
			}
			var seen events
			s := open(t, service.Config{Dir: dir, Observer: seen.observe})
			events := seen.take()
			got, err := s.Get("t", "")
			list := files(t, dir)
			if slices.Contains(list, "t~.json.tmp") || len(list) != 5 {
				t.Errorf("files %q", list)
			}
			if f.want != "" {
				if err != nil || withoutTimestamp(t, string(got)) != f.want || len(events) > 0 {
					t.Errorf("%s, %v, %v\nwant %s", got, err, events, f.want)
				}
				return
			}
			if refusal(err) != 404 || len(events) != 1 || events[0].Kind != service.EventBroken || events[0].File != "t~.json" || events[0].Thing != "t" {
				t.Errorf("%s, %v, %+v", got, err, events)
			}
			if kept, err := os.ReadFile(path + ".broken"); err != nil || string(kept) != f.content {
				t.Errorf("set aside: %v", err)
			}
			mustUpdate(t, s, "t", "", `{"desired":{"a":1}}`)
			if s := open(t, service.Config{Dir: dir}); s.Stats().Shadows != 1 {
				t.Errorf("%+v", s.Stats())
			}
		})
	}
}

// TestDiskErrors makes each operation of an update, a deletion and the removal
// of what was deleted fail (reliability.md C3): the request is refused, nothing
// changes, and the next attempt works.
func TestDiskErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, kind := range []faultfs.Kind{faultfs.Create, faultfs.Write, faultfs.Sync, faultfs.Close, faultfs.Rename, faultfs.SyncDir} {
			for _, failure := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
				disk := faultfs.New()
				var seen events
				s, b := start(t, service.WithDisk(service.Config{Dir: "d", MaxThings: 2, Observer: seen.observe}, disk))
				mustUpdate(t, s, "t", "", `{"reported":{"a":1}}`)
				before, _ := s.Get("t", "")
				b.take()
				seen.take()
				disk.Fail(func(op faultfs.Op) error {
					if op.Kind == kind {
						return failure
					}
					return nil
				})
				const failed = `{"code":500,"message":"Internal service failure","timestamp":1700000000,"clientToken":"k"}`
				expect(t, string(kind), b.ask(prefix+"update", `{"state":{"reported":{"a":2}},"clientToken":"k"}`), prefix+"update/rejected", failed)
				expect(t, string(kind), b.ask(prefix+"delete", `{"clientToken":"k"}`), prefix+"delete/rejected", failed)
				if _, err := s.Update(t.Context(), "new", "", []byte(`{"state":{}}`)); refusal(err) != 500 {
					t.Errorf("%s: %v", kind, err)
				}
				if after, _ := s.Get("t", ""); string(after) != string(before) || s.Stats().Things != 1 {
					t.Errorf("%s: %s", kind, after)
				}
				if events := seen.take(); len(events) != 6 || events[0].Kind != service.EventDisk || !errors.Is(events[0].Err, failure) || s.Stats().DiskErrors != 3 {
					t.Errorf("%s: %+v", kind, events)
				}
				disk.Fail(nil)
				if got := mustUpdate(t, s, "t", "", `{"reported":{"a":3}}`); string(raw(t, got)["version"]) != "2" {
					t.Errorf("%s: %s", kind, got)
				}
				mustUpdate(t, s, "other", "", `{"reported":{"a":1}}`) // "new" has left no trace
			}
		}
	})
}

// TestForgetError fails to remove the file of a shadow that is forgotten.
func TestForgetError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := faultfs.New()
		s, _ := start(t, service.WithDisk(service.Config{Dir: "d", MaxThings: 1}, disk))
		mustUpdate(t, s, "old", "", `{"reported":{"a":1}}`)
		if err := s.Delete(t.Context(), "old", ""); err != nil {
			t.Fatal(err)
		}
		disk.Fail(func(op faultfs.Op) error {
			if op.Kind == faultfs.Remove {
				return syscall.EIO
			}
			return nil
		})
		mustUpdate(t, s, "new", "", `{"reported":{"a":1}}`)
		if s.Stats().DiskErrors != 1 {
			t.Errorf("%+v", s.Stats())
		}
	})
}

// TestUnreadable starts with a disk that cannot be read.
func TestUnreadable(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Mkdir, faultfs.ReadDir, faultfs.Open, faultfs.Read} {
		disk := faultfs.New()
		s := open(t, service.WithDisk(service.Config{Dir: "d"}, disk))
		mustUpdate(t, s, "t", "", `{"reported":{"a":1}}`)
		disk.Fail(func(op faultfs.Op) error {
			if op.Kind == kind {
				return syscall.EMFILE
			}
			return nil
		})
		cfg := service.WithDisk(service.Config{Dir: "d", Transport: newBus()}, disk)
		if _, err := service.New(cfg); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("%s: %v", kind, err)
		}
		disk.Fail(nil)
		if s, err := service.New(cfg); err != nil || s.Stats().Shadows != 1 {
			t.Errorf("%s: %v", kind, err)
		}
	}
	disk := faultfs.New()
	disk.Fail(func(op faultfs.Op) error {
		if op.Kind == faultfs.SyncDir {
			return fs.ErrPermission
		}
		return nil
	})
	if _, err := service.New(service.WithDisk(service.Config{Dir: "a/b", Transport: newBus()}, disk)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a directory whose name cannot be made durable: %v", err)
	}
}

// TestDeletionTime keeps the time of a deletion over a restart, by which the
// oldest is forgotten first.
func TestDeletionTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := faultfs.New()
		cfg := service.WithDisk(service.Config{Dir: "d", MaxThings: 2}, disk)
		s := open(t, cfg)
		for _, thing := range []string{"b", "a"} {
			mustUpdate(t, s, thing, "", `{"reported":{"a":1}}`)
			if err := s.Delete(t.Context(), thing, ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		s = open(t, cfg)
		mustUpdate(t, s, "c", "", `{"reported":{"a":1}}`)
		if got := mustUpdate(t, s, "a", "", `{"reported":{"a":1}}`); string(raw(t, got)["version"]) != "2" {
			t.Errorf("%s", got)
		}
	})
}

// TestDeletionOrder: of deleted things the one is forgotten whose last shadow was
// deleted first, whenever they were changed, and in whatever order the shadows of
// each were.
func TestDeletionOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, service.WithDisk(service.Config{Dir: "d", MaxThings: 2}, faultfs.New()))
		shadows := [][2]string{{"a", ""}, {"a", "x"}, {"b", ""}}
		for _, i := range shadows {
			mustUpdate(t, s, i[0], i[1], `{"reported":{"a":1}}`)
			time.Sleep(time.Second)
		}
		for _, i := range [][2]string{{"a", "x"}, {"b", ""}, {"a", ""}} {
			if err := s.Delete(t.Context(), i[0], i[1]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		mustUpdate(t, s, "c", "", `{"reported":{"a":1}}`)
		for i, want := range []int64{1, 1, 0} {
			if v := s.Version(shadows[i][0], shadows[i][1]); v != want {
				t.Errorf("%q is at version %d, want %d", shadows[i], v, want)
			}
		}
	})
}
