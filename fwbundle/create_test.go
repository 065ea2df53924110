package fwbundle_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/internal/vectors"
)

// TestCreateVectors makes all bundles of vectors/fw that the tool has made anew, by
// the commands in the README, and compares bytes: of the manifest and of each
// entry, and of the whole archive unless the tool has put three or more entries
// into an order of its own.
func TestCreateVectors(t *testing.T) {
	commands := readCommands(t)
	var index map[string]fwVector
	if err := json.Unmarshal(vector(t, "fw/index.json"), &index); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if index[name].Origin == "synthetic" {
			continue
		}
		bundle := strings.TrimSuffix(name, ".zip")
		t.Run(bundle, func(t *testing.T) {
			command, found := commands[bundle]
			if !found {
				t.Fatal("the README has no command for it")
			}
			compareBundles(t, create(t, command, vector(t, "fw/"+name)), vector(t, "fw/"+name))
		})
		ran++
	}
	t.Logf("README.md: %d of %d commands", ran, len(commands))
	if ran != len(commands) {
		t.Errorf("%d bundles for %d commands", ran, len(commands))
	}
}

// readCommands returns the arguments of the commands in the README, by bundle.
func readCommands(t *testing.T) map[string][]string {
	t.Helper()
	commands := map[string][]string{}
	for line := range strings.Lines(string(vector(t, "fw/README.md"))) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(cells[2], " `--") && !strings.HasPrefix(cells[2], " `-i") {
			continue
		}
		first, rest, _ := strings.Cut(strings.TrimSpace(cells[2])[1:], "`")
		names := strings.Split(strings.TrimSpace(cells[1]), ", ")
		commands[names[0]] = splitWords(first)
		if len(names) == 2 { // with another file, which follows the command
			other := strings.Trim(rest, " ()")
			args := splitWords(first)
			last := &args[len(args)-1]
			*last = (*last)[:strings.LastIndex(*last, "=")+1] + other
			commands[names[1]] = args
		}
	}
	return commands
}

// splitWords splits a command line as a shell does: double quotes hold words
// together, a backslash in them hides the next character.
func splitWords(line string) (words []string) {
	word, quoted := []byte(nil), false
	for i := 0; i <= len(line); i++ {
		switch {
		case i == len(line) || line[i] == ' ' && !quoted:
			words = append(words, string(word))
			word = nil
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '\\' && quoted:
			i++
			word = append(word, line[i])
		default:
			word = append(word, line[i])
		}
	}
	return words
}

// create runs a command of the tool. A signature, for which there is no key, is
// taken from the bundle that is wanted.
func create(t *testing.T, args []string, want []byte) []byte {
	t.Helper()
	d := new(fwbundle.Draft)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
	}
	for len(args) > 0 {
		option, value := args[0], ""
		args = args[1:]
		if option == "--compress" {
			d.Compress = true
			continue
		}
		if strings.HasPrefix(option, "-") {
			value, args = args[0], args[1:]
		}
		switch option {
		case "-i":
			b, err := open(vector(t, "fw/"+value))
			check(err)
			d, err = fwbundle.Edit(b)
			check(err)
		case "--name":
			d.Name = value
		case "--platform":
			d.Platform = value
		case "--description":
			d.Description = value
		case "--build-info":
			check(d.SetBuildInfo(vector(t, "fw/"+value)))
		case "--attr":
			a, err := fwbundle.ParseAttr(value)
			check(err)
			d.SetAttr(a)
		case "--extra-attr":
			a, err := fwbundle.ParseAttr(value)
			check(err)
			d.SetExtra(a)
		case "--sign-key":
			b, err := open(want)
			check(err)
			d.SetExtra(fwbundle.Attr{Name: "sig0", Value: fwbundle.Attribute(b.Extra(), "sig0")})
		default:
			check(d.Add(option, readInput))
		}
	}
	var out bytes.Buffer
	_, err := d.WriteTo(&out)
	check(err)
	return out.Bytes()
}

// readInput reads an input of the commands. Some have another name in the vectors,
// or no content to be stored.
func readInput(name string) ([]byte, error) {
	switch name {
	case "FIRMWARE.BIN":
		name = "app1500.bin"
	case "empty.bin":
		return []byte{}, nil
	}
	return os.ReadFile(filepath.Join(vectors.Dir(), "fw", name))
}

func compareBundles(t *testing.T, got, want []byte) {
	t.Helper()
	a, err := open(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(want)
	if err != nil {
		t.Fatal(err)
	}
	if x, y := a.Manifest().Text(), b.Manifest().Text(); !bytes.Equal(x, y) {
		t.Errorf("manifest\n%s\nwant\n%s", x, y)
	}
	byName := func(entries []fwbundle.Entry) map[string]fwbundle.Entry {
		m := map[string]fwbundle.Entry{}
		for _, e := range entries {
			m[e.Name] = e
		}
		return m
	}
	if x, y := byName(a.Entries()), byName(b.Entries()); !maps.Equal(x, y) {
		t.Errorf("entries %v, want %v", x, y)
	}
	if !equalContent(content(t, a), content(t, b)) {
		t.Error("the content of the parts differs")
	}
	same := slices.Equal(a.Entries(), b.Entries())
	if same != bytes.Equal(got, want) {
		t.Error("the bytes of the archives differ")
	}
	if !same && len(a.Entries()) < 3 {
		t.Errorf("the order of the entries differs: %v, want %v", a.Entries(), b.Entries())
	}
	t.Logf("%d bytes, whole archive equal: %v", len(got), same)
}
