package ccmkit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ccmkit/ccmkit/"

// forbidden lists what the packages of a directory must not reach, directly or
// not, and why.
var forbidden = []struct {
	packages []string
	reach    []string
	why      string
}{
	{
		[]string{"jsonrpc/mjson", "jsonrpc", "framing", "ccm/host"},
		[]string{"fmt", "reflect", "os", "net", "encoding/json"},
		"these packages also serve small targets",
	},
	{
		[]string{"jsonrpc", "jsonrpc/mjson", "jsonrpc/typed", "framing", "framing/uart", "ccm/host",
			"shadow", "shadow/aws", "shadow/service", "ccm/outbox", "fwbundle", "stm32boot", "stm32boot/stm32sim"},
		[]string{"net/http", module + "ccm", module + "ccm/cloud", "github.com/tidwall/gjson", "github.com/tidwall/sjson",
			"github.com/eclipse/paho.mqtt.golang", "github.com/mochi-mqtt/server/v2"},
		"imports point down: the leaves know neither the module nor the cloud",
	},
	{
		[]string{"ccm/config", "ccm/access", "ccm/channel", "ccm/files", "ccm/wifi", "ccm/cloud", "ccm/outbox", "ccm/host"},
		[]string{module + "ccm", module + "ccm/ccmtest"},
		"the module joins them; they do not know it",
	},
	{
		[]string{"ccm/config", "ccm/access", "ccm/files", "ccm/wifi"},
		[]string{"net/http", module + "ccm/channel", "github.com/coder/websocket", "github.com/eclipse/paho.mqtt.golang"},
		"what is managed knows no door",
	},
	{
		[]string{"ccm", "ccm/cloud", "ccm/channel", "ccm/config", "ccm/access"},
		[]string{module + "ccm/ccmtest", "github.com/mochi-mqtt/server/v2"},
		"the broker and the test kit are not for production",
	},
	{
		[]string{"shadow"},
		[]string{module + "shadow/aws", module + "shadow/service", module + "framing"},
		"a dialect knows the shadow, not the other way round",
	},
	{
		[]string{"stm32boot"},
		[]string{module + "stm32boot/stm32sim", module + "fwbundle", module + "jsonrpc", module + "framing", "log/slog"},
		"the boot loader's client is useful alone",
	},
	{
		[]string{"fwbundle"},
		[]string{module + "stm32boot", module + "framing", "archive/zip", "log/slog"},
		"a bundle knows nothing of the chip it is for, and is read by rules of its own",
	},
	{
		[]string{"jsonrpc", "jsonrpc/mjson", "framing", "ccm/host", "fwbundle", "stm32boot", "stm32boot/stm32sim"},
		[]string{"go.bug.st/serial"},
		"the serial port is one port among many",
	},
	{
		[]string{"jsonrpc/mjson"},
		[]string{module + "framing", module + "jsonrpc"},
		"it is at the bottom",
	},
	{
		[]string{"framing"},
		[]string{module + "jsonrpc"},
		"framing knows bytes only",
	},
	{
		[]string{"jsonrpc"},
		[]string{module + "framing"},
		"a connection takes any framer",
	},
}

func TestImports(t *testing.T) {
	deps := map[string][]string{}
	for _, f := range forbidden {
		for _, p := range f.packages {
			if deps[p] == nil {
				deps[p] = goList(t, "-deps", "./"+p)
			}
			for _, bad := range f.reach {
				if slices.Contains(deps[p], bad) {
					t.Errorf("%s reaches %s: %s", p, bad, f.why)
				}
			}
		}
	}
}

// goList runs go list and returns its lines.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// TestPackagesAreDocumented demands of every package a doc.go and an Example,
// and of every exported name a comment.
func TestPackagesAreDocumented(t *testing.T) {
	for _, dir := range packageDirs(t) {
		set := token.NewFileSet()
		var hasDoc, hasExample bool
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "_test.go") {
				hasExample = hasExample || hasExamples(f)
				continue
			}
			hasDoc = hasDoc || filepath.Base(name) == "doc.go" && f.Doc != nil
			for _, pos := range undocumented(f) {
				t.Errorf("%s: exported without a comment", set.Position(pos))
			}
		}
		if !hasDoc {
			t.Errorf("%s: no doc.go", dir)
		}
		if !hasExample {
			t.Errorf("%s: no Example", dir)
		}
	}
}

// packageDirs returns the directories of the packages that users import.
func packageDirs(t *testing.T) []string {
	var dirs []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case path != "." && strings.HasPrefix(d.Name(), "."),
			d.Name() == "testdata", path == "internal", path == "examples", path == "bench":
			return fs.SkipDir
		}
		if files, _ := filepath.Glob(filepath.Join(path, "*.go")); len(files) > 0 {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func hasExamples(f *ast.File) bool {
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		fn, is := d.(*ast.FuncDecl)
		return is && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Example")
	})
}

// undocumented returns the exported declarations of a file without a comment.
// In a group, the comment of the group or one on the line will do.
func undocumented(f *ast.File) (bad []token.Pos) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
				bad = append(bad, d.Pos())
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if missingDoc(d, s) {
					bad = append(bad, s.Pos())
				}
			}
		}
	}
	return bad
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, is := typ.(*ast.StarExpr); is {
		typ = star.X
	}
	if generic, is := typ.(*ast.IndexExpr); is {
		typ = generic.X
	}
	id, is := typ.(*ast.Ident)
	return is && id.IsExported()
}

func missingDoc(d *ast.GenDecl, s ast.Spec) bool {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return s.Name.IsExported() && d.Doc == nil && s.Doc == nil
	case *ast.ValueSpec:
		exported := slices.ContainsFunc(s.Names, func(n *ast.Ident) bool { return n.IsExported() })
		return exported && d.Doc == nil && s.Doc == nil && s.Comment == nil
	}
	return false
}

// TestReadmeProgram runs the program in the README.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```go\n")
	program, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("README.md has no Go program")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", file).CombinedOutput()
	if err != nil || string(out) != "5 <nil>\nLED on: true\n" {
		t.Errorf("it prints %q, %v", out, err)
	}
}
