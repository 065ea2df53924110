package files_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// steps are what the power-cut test does.
var steps = []func(d *files.Dir) error{
	func(d *files.Dir) error { return d.Put("ca.pem", []byte(kb(1, "a")), at(0)) },
	func(d *files.Dir) error { return d.Put("ca.pem", []byte(kb(1, "b")), at(1<<10)) },
	func(d *files.Dir) error { return d.Put("ca.pem", []byte("over"), at(700)) },
	func(d *files.Dir) error { return d.Put("key.pem", []byte(ecKey), whole) },
	func(d *files.Dir) error { return d.Put("ca.pem.tmp", []byte("t"), add) },
	func(d *files.Dir) error { return d.Rename("ca.pem.tmp", "key.pem") },
	func(d *files.Dir) error { return d.Put("ca.pem", []byte("short"), whole) },
	func(d *files.Dir) error { return d.Rename("ca.pem", "old.pem") },
	func(d *files.Dir) error { return d.Remove("key.pem") },
	func(d *files.Dir) error { return d.Put("key.pem", nil, whole) },
}

// play does the steps until one fails. It returns how many it did.
func play(disk *faultfs.FS) int {
	d, err := files.Open(files.Options{FS: disk, Dir: "state/files"})
	if err != nil {
		return 0
	}
	for n, step := range steps {
		if step(d) != nil {
			return n
		}
	}
	return len(steps)
}

// worlds returns what files there are before each step and after the last.
func worlds(t *testing.T) (all []map[string]string) {
	d := open(t, nil)
	for _, step := range steps {
		all = append(all, contents(t, d))
		if err := step(d); err != nil {
			t.Fatal(err)
		}
	}
	return append(all, contents(t, d))
}

// TestPowerCuts cuts power at every operation of the disk, writes also in the
// middle, loses in every way what was not synced, and opens the directory again:
// there are the files of before the step or of after it, all of them whole, and
// nothing else. Then power fails once more at each operation of that.
func TestPowerCuts(t *testing.T) {
	want := worlds(t)
	uncut := faultfs.New()
	if n := play(uncut); n != len(steps) {
		t.Fatalf("step %d failed", n)
	}
	cuts, starts := 0, 0
	for _, op := range uncut.Ops() {
		for _, size := range []int{0, op.Size / 2, op.Size} {
			if size == 0 || op.Kind == faultfs.Write {
				cuts++
				disk := faultfs.New()
				disk.CutAt(op.N, size)
				starts += checkCut(t, disk, fmt.Sprintf("cut at %+v, %d bytes", op, size), want)
			}
		}
	}
	t.Logf("%d cuts, %d starts", cuts, starts)
}

// checkCut plays on a disk that loses power, and looks at it afterwards. It returns
// how often it has opened the directory.
func checkCut(t *testing.T, disk *faultfs.FS, what string, want []map[string]string) (starts int) {
	n := play(disk)
	if n == len(steps) {
		t.Fatalf("%s: no cut", what)
	}
	for _, loss := range faultfs.Losses() {
		first := disk.Restart(loss)
		for at := 0; ; at++ {
			again := disk.Restart(loss)
			again.CutAt(at, 0)
			_, err := files.Open(files.Options{FS: again, Dir: "state/files"})
			for _, loss := range faultfs.Losses() {
				starts++
				checkWorld(t, again.Restart(loss), what+", then during the start", want[n:n+2])
			}
			if err == nil {
				break
			}
		}
		starts++
		checkWorld(t, first, what+", "+loss.Name, want[n:n+2])
	}
	return starts
}

// checkWorld opens the directory and compares the files with what there may be.
func checkWorld(t *testing.T, disk *faultfs.FS, what string, want []map[string]string) {
	t.Helper()
	d, err := files.Open(files.Options{FS: disk, Dir: "state/files"})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	got := contents(t, d)
	if !maps.Equal(got, want[0]) && !maps.Equal(got, want[1]) {
		t.Errorf("%s: %.300v, not %.300v or %.300v", what, got, want[0], want[1])
	}
	if entries, _ := disk.ReadDir("state/files"); len(entries) != len(got) {
		t.Errorf("%s: entries %v", what, entries)
	}
}
