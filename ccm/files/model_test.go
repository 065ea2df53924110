package files_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// key is what tells of a private key.
var key = regexp.MustCompile(`-----(BEGIN|END).*PRIVATE KEY`)

// model is what a directory should hold, written down in the simplest way.
type model map[string]string

// put is what Put should do. A nil offset is one that is not given.
func (m model) put(name, data string, offset *int, appending bool) error {
	old, there := m[name]
	var text string
	switch {
	case offset == nil && !appending, offset != nil && *offset == 0:
		text = data
	case offset == nil:
		text = old + data
	case !there:
		return files.ErrNotExist
	case *offset < 0 || *offset > len(old):
		return files.ErrOffset
	default:
		text = old[:*offset] + data
		if len(text) < len(old) {
			text += old[len(text):]
		}
		if len(text) <= files.MaxFile && key.MatchString(old) && !key.MatchString(text) {
			return files.ErrPrivateKey
		}
	}
	total := len(text)
	for other, t := range m {
		if other != name {
			total += len(t)
		}
	}
	switch {
	case len(text) > files.MaxFile:
		return files.ErrTooLarge
	case !there && len(m) == files.MaxFiles, total > files.MaxTotal && (!there || len(text) > len(old)):
		return files.ErrFull
	}
	m[name] = text
	return nil
}

func (m model) rename(src, dst string) error {
	text, there := m[src]
	if !there {
		return files.ErrNotExist
	}
	delete(m, src)
	m[dst] = text
	return nil
}

func (m model) remove(name string) error {
	if _, there := m[name]; !there {
		return files.ErrNotExist
	}
	delete(m, name)
	return nil
}

// lengths are those of the data that are put. The long ones fill the directory.
var lengths = []int{0, 1, 7, 512, 4000, files.MaxFile - 512, files.MaxFile, files.MaxFile + 1}

// run does what the bytes of a script say, on a directory and on the model, four
// bytes for each step, and compares results and files.
func run(t *testing.T, script []byte) {
	d, m := open(t, faultfs.New()), model{}
	for ; len(script) >= 4; script = script[4:] {
		op, a, b, c := script[0], script[1], script[2], script[3]
		name := fmt.Sprint("f", a%80)
		var got, want error
		switch op % 8 {
		case 0:
			got, want = d.Remove(name), m.remove(name)
		case 1:
			other := fmt.Sprint("f", b%80)
			got, want = d.Rename(name, other), m.rename(name, other)
		default:
			data := strings.Repeat(string('a'+rune(c%26)), lengths[int(b)%len(lengths)])
			if c == 0 {
				data = ecKey[:30] + "\n" + data
			}
			appending := op%2 == 0
			if op%8 < 5 {
				got, want = d.Put(name, []byte(data), files.PutMode{Append: appending}), m.put(name, data, nil, appending)
				break
			}
			offset := len(m[name]) + []int{0, -1, -len(m[name]), 1, -512, -3}[int(op/8)%6]
			got = d.Put(name, []byte(data), files.PutMode{Append: appending, HasOffset: true, Offset: offset})
			want = m.put(name, data, &offset, appending)
		}
		if !errors.Is(got, want) || (got == nil) != (want == nil) {
			t.Fatalf("op %d %d %d %d: %v, want %v", op, a, b, c, got, want)
		}
	}
	if got := contents(t, d); !maps.Equal(got, m) {
		t.Errorf("%d files, want %d", len(got), len(m))
	}
}

// TestModel compares a directory with a map.
func TestModel(t *testing.T) {
	for seed := range heavy(100) {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		script := make([]byte, 4*(1+r.IntN(300)))
		names := 1 + r.IntN(100)
		for n := range script {
			script[n] = byte(r.Uint32())
			if n%4 == 1 || n%4 == 2 && script[n-2]%8 == 1 {
				script[n] %= byte(names)
			}
		}
		run(t, script)
	}
}

// FuzzOps is the model test with the script of a fuzzer.
func FuzzOps(f *testing.F) {
	f.Add([]byte{2, 0, 3, 1, 5, 0, 2, 2, 1, 0, 1, 0, 0, 1, 0, 0})
	f.Add([]byte{2, 0, 4, 0, 13, 0, 3, 1, 21, 0, 3, 1})
	f.Add([]byte(strings.Repeat("%", 8)))
	f.Add([]byte{2, 0, 0, 0, 238, 0, 3, 249}) // a part of the line that tells of a key
	f.Fuzz(func(t *testing.T, script []byte) {
		run(t, script[:min(len(script), 400)])
	})
}

// TestConcurrent uses a directory of the operating system from many goroutines.
// Each file is of one letter at any time, and the counts are as they must be.
func TestConcurrent(t *testing.T) {
	d, _ := openReal(t)
	const writers = 4
	rounds := heavy(200)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			letter := string('a' + rune(w))
			mine := "mine-" + letter
			for n := range rounds {
				err := errors.Join(
					d.Put("shared", []byte(strings.Repeat(letter, 100+n)), whole),
					d.Put("sum", []byte(letter), add),
					d.Put(mine, []byte(letter), whole),
					d.Rename(mine, mine+"2"),
					d.Remove(mine+"2"),
				)
				if err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				data, err := d.Read("shared")
				if err != nil && !errors.Is(err, files.ErrNotExist) || strings.Trim(string(data), string(append(data, 'x')[0])) != "" {
					t.Errorf("%.200q, %v", data, err)
				}
				if list, err := d.List(); err != nil || len(list) > 2+writers {
					t.Errorf("%v, %v", list, err)
				}
			}
		})
	}
	wg.Wait()
	got := contents(t, d)
	if len(got) != 2 || len(got["sum"]) != writers*rounds {
		t.Errorf("%d files, %d added", len(got), len(got["sum"]))
	}
	for w := range writers {
		if n := strings.Count(got["sum"], string('a'+rune(w))); n != rounds {
			t.Errorf("writer %d: %d of %d", w, n, rounds)
		}
	}
}
