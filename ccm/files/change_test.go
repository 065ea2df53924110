package files_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// TestPutModes puts data in every way into a file, of which "-" says that it is
// missing.
func TestPutModes(t *testing.T) {
	given := func(offset int) files.PutMode { return files.PutMode{HasOffset: true, Offset: offset} }
	for _, c := range []struct {
		old, data string
		mode      files.PutMode
		want      string
		err       error
	}{
		{"-", "new", whole, "new", nil},
		{"older", "new", whole, "new", nil},
		{"older", "", whole, "", nil},
		{"-", "", whole, "", nil},
		{"-", "new", add, "new", nil},
		{"old", "new", add, "oldnew", nil},
		{"old", "", add, "old", nil},
		{"-", "new", given(0), "new", nil},
		{"older", "new", given(0), "new", nil},
		{"older", "new", files.PutMode{HasOffset: true, Append: true}, "new", nil},
		{"older", "NEW", given(1), "oNEWr", nil},
		{"older", "NEW", given(2), "olNEW", nil},
		{"older", "NEW", given(4), "oldeNEW", nil},
		{"older", "NEW", given(5), "olderNEW", nil},
		{"older", "NEW", at(1), "oNEWr", nil}, // not appended
		{"older", "NEW", at(5), "olderNEW", nil},
		{"older", "", given(5), "older", nil},
		{"older", "NEW", given(6), "older", files.ErrOffset},
		{"older", "", given(6), "older", files.ErrOffset},
		{"older", "NEW", at(6), "older", files.ErrOffset},
		{"older", "NEW", given(-1), "older", files.ErrOffset},
		{"older", "NEW", given(math.MinInt), "older", files.ErrOffset},
		{"older", "NEW", given(math.MaxInt), "older", files.ErrOffset},
		{"-", "NEW", given(1), "-", files.ErrNotExist},
		{"-", "NEW", at(1), "-", files.ErrNotExist},
		{"-", "NEW", given(-1), "-", files.ErrNotExist},
		{"older", "NEW", files.PutMode{Offset: 3}, "NEW", nil}, // an offset that is not given
	} {
		d := open(t, nil)
		if c.old != "-" {
			put(t, d, "f", c.old, whole)
		}
		err := d.Put("f", []byte(c.data), c.mode)
		got, there := contents(t, d)["f"]
		if !there {
			got = "-"
		}
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q + %q %+v: %q, %v", c.old, c.data, c.mode, got, err)
		}
	}
}

// TestPutKeepsNothing changes the data after Put and what Read has returned.
func TestPutKeepsNothing(t *testing.T) {
	d := open(t, nil)
	data := []byte("data")
	if err := d.Put("f", data, whole); err != nil {
		t.Fatal(err)
	}
	clear(data)
	read, _ := d.Read("f")
	clear(read)
	if got := contents(t, d)["f"]; got != "data" {
		t.Errorf("%q", got)
	}
}

// TestChunks puts a file as mos does, with every chunk sent up to three times, as
// after replies that were lost.
func TestChunks(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 1311, 5120} {
		for times := 1; times <= 3; times++ {
			d := open(t, nil)
			put(t, d, "f", "what was there before", whole)
			want := strings.Repeat("0123456789abcde", size/15+1)[:size]
			for offset := 0; offset == 0 || offset < size; offset += 512 {
				for range times {
					put(t, d, "f", want[offset:min(offset+512, size)], at(offset))
				}
			}
			if got := contents(t, d)["f"]; got != want {
				t.Errorf("%d bytes, %d times: %d bytes", size, times, len(got))
			}
		}
	}
}

func TestRange(t *testing.T) {
	d := open(t, nil)
	put(t, d, "f", "0123456789", whole)
	for _, c := range []struct {
		offset, n int
		want      string
		left      int
	}{
		{0, -1, "0123456789", 0},
		{0, 10, "0123456789", 0},
		{0, 11, "0123456789", 0},
		{0, 4, "0123", 6},
		{4, 4, "4567", 2},
		{8, 4, "89", 0},
		{8, -5, "89", 0},
		{3, 0, "", 7},
		{10, 4, "", 0},
		{10, -1, "", 0},
		{11, 4, "", 0},
		{math.MaxInt, math.MaxInt, "", 0},
	} {
		data, left, err := d.ReadAt("f", c.offset, c.n)
		if string(data) != c.want || left != c.left || err != nil || cap(data) != len(data) {
			t.Errorf("%d, %d: %q, %d left, %v", c.offset, c.n, data, left, err)
		}
	}
	if _, _, err := d.ReadAt("f", -1, 4); !errors.Is(err, files.ErrOffset) {
		t.Error(err)
	}
	if _, _, err := d.ReadAt("g", 0, 4); !errors.Is(err, files.ErrNotExist) {
		t.Error(err)
	}
	if _, _, err := files.Range(nil, -1, 0); err != files.ErrOffset {
		t.Error(err)
	}
}

func TestRemoveRename(t *testing.T) {
	d := open(t, nil)
	put(t, d, "a", "A", whole)
	put(t, d, "b", "B", whole)
	for n, c := range []struct {
		do   func() error
		err  error
		want map[string]string
	}{
		{func() error { return d.Rename("c", "a") }, files.ErrNotExist, map[string]string{"a": "A", "b": "B"}},
		{func() error { return d.Rename("c", "c") }, files.ErrNotExist, map[string]string{"a": "A", "b": "B"}},
		{func() error { return d.Rename("a", "a") }, nil, map[string]string{"a": "A", "b": "B"}},
		{func() error { return d.Rename("a", "b") }, nil, map[string]string{"b": "A"}},
		{func() error { return d.Rename("b", "c") }, nil, map[string]string{"c": "A"}},
		{func() error { return d.Remove("b") }, files.ErrNotExist, map[string]string{"c": "A"}},
		{func() error { return d.Remove("c") }, nil, map[string]string{}},
		{func() error { return d.Remove("c") }, files.ErrNotExist, map[string]string{}},
	} {
		err := c.do()
		if got := contents(t, d); !errors.Is(err, c.err) || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%d: %v, files %v", n, err, got)
		}
	}
}

// TestMaxFile is about the longest file.
func TestMaxFile(t *testing.T) {
	d := open(t, nil)
	most := kb(256, "m")
	put(t, d, "f", most, whole)
	put(t, d, "f", "xy", at(len(most)-2)) // a chunk sent again
	put(t, d, "f", "", at(len(most)))
	for _, mode := range []files.PutMode{add, at(len(most)), at(len(most) - 1)} {
		if err := d.Put("f", []byte("xy"), mode); !errors.Is(err, files.ErrTooLarge) {
			t.Errorf("%+v: %v", mode, err)
		}
	}
	if err := d.Put("f", []byte(most+"x"), whole); !errors.Is(err, files.ErrTooLarge) {
		t.Error(err)
	}
	if got := contents(t, d)["f"]; got != most[:len(most)-2]+"xy" {
		t.Errorf("%d bytes", len(got))
	}
}

// TestFull is about the number of files and of bytes.
func TestFull(t *testing.T) {
	d := open(t, nil)
	for n := range files.MaxFiles {
		put(t, d, fmt.Sprint("f", n), "", whole)
	}
	if err := d.Put("more", nil, whole); !errors.Is(err, files.ErrFull) {
		t.Errorf("file 65: %v", err)
	}
	for n := range files.MaxTotal / files.MaxFile {
		put(t, d, fmt.Sprint("f", n), kb(256, "x"), whole)
	}
	if err := d.Put("f63", []byte("x"), add); !errors.Is(err, files.ErrFull) {
		t.Errorf("a byte more: %v", err)
	}
	put(t, d, "f63", "", whole) // no more than before
	put(t, d, "f3", kb(256, "y"), whole)
	put(t, d, "f3", kb(255, "y"), whole)
	put(t, d, "f63", kb(1, "z"), whole)
	if err := d.Put("f63", []byte("x"), add); !errors.Is(err, files.ErrFull) {
		t.Errorf("a byte more: %v", err)
	}
	if err := d.Remove("f3"); err != nil {
		t.Fatal(err)
	}
	put(t, d, "more", kb(255, "x"), whole)
	if got := contents(t, d); len(got) != files.MaxFiles || got["f63"] != kb(1, "z") {
		t.Errorf("%d files", len(got))
	}
}

// TestTooMuchAlready opens a directory in which there is more than there may be: it
// can shrink but not grow.
func TestTooMuchAlready(t *testing.T) {
	disk := faultfs.New()
	d := open(t, disk)
	for n := range files.MaxFiles + 2 {
		if err := fsx.WriteFile(disk, fmt.Sprint("files/f", n), make([]byte, 100<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := fsx.WriteFile(disk, "files/huge", make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := d.List(); err != nil || len(list) != files.MaxFiles+3 || list[len(list)-1] != (files.Info{Name: "huge", Size: 1 << 20}) {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := d.Read("huge"); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("read: %v", err)
	}
	if err := d.Put("huge", []byte("x"), at(5)); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("put: %v", err)
	}
	if err := d.Put("f0", []byte("x"), add); !errors.Is(err, files.ErrFull) {
		t.Errorf("grow: %v", err)
	}
	if err := d.Put("new", nil, whole); !errors.Is(err, files.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	put(t, d, "f0", "x", at(5))
	put(t, d, "f0", "less", whole)
	put(t, d, "huge", kb(256, "x"), whole)
	if err := errors.Join(d.Remove("f1"), d.Rename("huge", "f2")); err != nil {
		t.Error(err)
	}
}
