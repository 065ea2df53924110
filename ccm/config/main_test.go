package config_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// heavy returns n, or a tenth of it unless CCMKIT_FULL=1 asks for full counts.
func heavy(n int) int {
	if os.Getenv("CCMKIT_FULL") != "1" {
		return n / 10
	}
	return n
}

const (
	dir = "etc/ccm"
	mac = "A0B1C2A1B2C3"
)

// rootKey is a key for tests.
var rootKey = config.RootKeyFunc(func(context.Context) ([32]byte, error) { return [32]byte{1, 2, 3}, nil })

// open opens the store on a disk, or fails the test.
func open(t testing.TB, disk config.FS, o config.Options) *config.Store {
	t.Helper()
	s, err := start(disk, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(disk config.FS, o config.Options) (*config.Store, error) {
	o.FS = disk
	if o.Dir == "" {
		o.Dir = dir
	}
	if o.MAC == "" {
		o.MAC = mac
	}
	return config.Open(context.Background(), o)
}

// put writes a file.
func put(t testing.TB, disk config.FS, name, text string) {
	t.Helper()
	if err := fsx.MkdirAll(disk, dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := fsx.WriteFile(disk, dir+"/"+name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// get reads a file, "-" if there is none.
func get(disk config.FS, name string) string {
	text, err := fsx.ReadFile(disk, dir+"/"+name, 1<<20)
	if err != nil {
		return "-"
	}
	return string(text)
}

// set is a change by the user, who may set all that conf_acl allows.
func set(tree string) config.Change { return config.Change{Config: []byte(tree), ACL: "*"} }

// setKey is the same with a key and a value.
func setKey(key, value string) config.Change {
	return config.Change{Key: key, Value: []byte(value), ACL: "*"}
}

// must fails the test if there is an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree returns the whole live tree, secrets shown.
func tree(t testing.TB, s *config.Store) string {
	t.Helper()
	text, err := s.AppendJSON(nil, "", config.GetOptions{Reveal: true})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files returns all files of a disk with their names.
func files(t testing.TB, disk *faultfs.FS) string {
	t.Helper()
	var all strings.Builder
	entries, _ := disk.ReadDir(dir)
	for _, e := range entries {
		all.WriteString(e.Name() + ":\n" + get(disk, e.Name()) + "\n")
	}
	return all.String()
}
