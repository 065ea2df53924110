package files_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// names are names that clients may give, and what they stand for; "" = nothing.
var names = []struct{ given, name string }{
	{"ca.pem", "ca.pem"},
	{"/ca.pem", "ca.pem"},
	{"a", "a"},
	{"-rf", "-rf"},
	{".hidden", ".hidden"},
	{"...", "..."},
	{"a..b", "a..b"},
	{"x.tmp", "x.tmp"},
	{"A_z-0.9", "A_z-0.9"},
	{strings.Repeat("n", 64), strings.Repeat("n", 64)},
	{"/" + strings.Repeat("n", 64), strings.Repeat("n", 64)},
	{strings.Repeat("n", 65), ""},
	{strings.Repeat("n", 1<<16), ""},
	{"", ""},
	{"/", ""},
	{"//ca.pem", ""},
	{".", ""},
	{"..", ""},
	{"/..", ""},
	{"/.", ""},
	{"../x", ""},
	{"a/b", ""},
	{"./a", ""},
	{"a/", ""},
	{`a\b`, ""},
	{`..\a`, ""},
	{"a b", ""},
	{"a\x00", ""},
	{"a\n", ""},
	{"new~", ""},
	{"new~.tmp", ""},
	{"C:a", ""},
	{"ä", ""},
	{"\xff", ""},
	{"a%2fb", ""},
	{"*", ""},
}

func TestNames(t *testing.T) {
	for _, n := range names {
		d := open(t, nil)
		err := d.Put(n.given, []byte("x"), whole)
		if n.name == "" {
			put(t, d, "other", "x", whole)
			_, read := d.Read(n.given)
			_, _, readAt := d.ReadAt(n.given, 0, 1)
			for call, err := range map[string]error{"Put": err, "Read": read, "ReadAt": readAt, "Remove": d.Remove(n.given),
				"Rename from": d.Rename(n.given, "a"), "Rename to": d.Rename("other", n.given)} {
				if !errors.Is(err, files.ErrName) || len(err.Error()) > 400 {
					t.Errorf("%s %.80q: %.400v", call, n.given, err)
				}
			}
			if got := contents(t, d); len(got) != 1 || got["other"] != "x" {
				t.Errorf("%.80q: files %v", n.given, got)
			}
			continue
		}
		if got := contents(t, d); err != nil || len(got) != 1 || got[n.name] != "x" {
			t.Errorf("%q: %v, files %v", n.given, err, got)
		}
		if data, err := d.Read(n.given); string(data) != "x" || err != nil {
			t.Errorf("%q: read %q, %v", n.given, data, err)
		}
		if err := errors.Join(d.Rename(n.given, "other"), d.Rename("/other", n.given), d.Remove(n.given)); err != nil {
			t.Errorf("%q: %v", n.given, err)
		}
	}
}

// TestErrorNamesFile wants of each error that it can be told apart and says which
// file it is about.
func TestErrorNamesFile(t *testing.T) {
	d := open(t, nil)
	put(t, d, "key.pem", ecKey, whole)
	put(t, d, "short.pem", "x", whole)
	_, read := d.Read("q.pem")
	_, _, readAt := d.ReadAt("short.pem", -1, 1)
	for _, c := range []struct {
		got, want error
		name      string
	}{
		{d.Remove("q/q.pem"), files.ErrName, "q/q.pem"},
		{read, files.ErrNotExist, "q.pem"},
		{readAt, files.ErrOffset, "short.pem"},
		{d.Remove("/q.pem"), fs.ErrNotExist, "q.pem"},
		{d.Rename("q.pem", "p.pem"), files.ErrNotExist, "q.pem"},
		{d.Put("q.pem", make([]byte, files.MaxFile+1), whole), files.ErrTooLarge, "q.pem"},
		{d.Put("short.pem", nil, at(2)), files.ErrOffset, "short.pem"},
		{d.Put("key.pem", make([]byte, len(ecKey)), at(1)), files.ErrPrivateKey, "key.pem"},
	} {
		if !errors.Is(c.got, c.want) || !strings.Contains(c.got.Error(), `"`+c.name+`"`) {
			t.Errorf("%v for %s: %v", c.want, c.name, c.got)
		}
	}
}

var valid = regexp.MustCompile(`^/?[A-Za-z0-9._-]{1,64}$`)

// FuzzName gives all methods a name: they take it if the rule does, and touch
// nothing outside the directory.
func FuzzName(f *testing.F) {
	for _, n := range names {
		f.Add(n.given)
	}
	f.Fuzz(func(t *testing.T, name string) {
		disk := faultfs.New()
		d := open(t, disk)
		ours := len(disk.Ops())
		flat := strings.TrimPrefix(name, "/")
		want := valid.MatchString(name) && flat != "." && flat != ".."
		if err := d.Put(name, []byte("x"), whole); want != (err == nil) || !want && !errors.Is(err, files.ErrName) {
			t.Fatalf("put: %v", err)
		}
		if _, err := d.Read(name); want != (err == nil) {
			t.Errorf("read: %v", err)
		}
		if err := d.Rename(name, "renamed"); want != (err == nil) {
			t.Errorf("rename: %v", err)
		}
		if err := d.Rename("renamed", name); want != (err == nil) {
			t.Errorf("rename back: %v", err)
		}
		if err := d.Remove(name); want != (err == nil) {
			t.Errorf("remove: %v", err)
		}
		for _, op := range disk.Ops()[ours:] {
			if filepath.Dir(op.Name) != "files" && op.Name != "files" {
				t.Errorf("%+v", op)
			}
		}
		if got := contents(t, d); len(got) != 0 {
			t.Errorf("files %v", got)
		}
	})
}
