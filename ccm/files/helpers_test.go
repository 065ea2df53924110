package files_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// How a Put can be meant.
var (
	whole = files.PutMode{}
	add   = files.PutMode{Append: true}
)

// at is the mode of a chunk as mos sends it.
func at(offset int) files.PutMode {
	return files.PutMode{HasOffset: true, Offset: offset, Append: offset > 0}
}

// open opens the directory "files" of a disk, one in memory if it is nil.
func open(t testing.TB, disk fsx.FS) *files.Dir {
	t.Helper()
	if disk == nil {
		disk = faultfs.New()
	}
	d, err := files.Open(files.Options{FS: disk, Dir: "files"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// put puts what must succeed.
func put(t testing.TB, d *files.Dir, name, data string, mode files.PutMode) {
	t.Helper()
	if err := d.Put(name, []byte(data), mode); err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
}

// contents returns all files and checks that List has their sizes.
func contents(t testing.TB, d *files.Dir) map[string]string {
	t.Helper()
	list, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for n, f := range list {
		data, err := d.Read(f.Name)
		if err != nil || int64(len(data)) != f.Size || n > 0 && list[n-1].Name >= f.Name {
			t.Errorf("file %d of %v: %d bytes, %v", n, list, len(data), err)
		}
		all[f.Name] = string(data)
	}
	return all
}

// heavy returns n, or a tenth of it unless CCMKIT_FULL=1 asks for full counts.
func heavy(n int) int {
	if os.Getenv("CCMKIT_FULL") != "1" {
		n /= 10
	}
	return n
}

// kb returns n KiB of a letter.
func kb(n int, letter string) string { return strings.Repeat(letter, n<<10) }
