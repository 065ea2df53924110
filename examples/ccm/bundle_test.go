package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

// fwVectors returns the directory of bundles that the original tool has made.
func fwVectors() string {
	if dir := os.Getenv("CCMKIT_VECTORS"); dir != "" {
		return filepath.Join(dir, "fw")
	}
	return filepath.FromSlash("../../fwbundle/testdata/vectors/fw")
}

// copyVectors copies the vectors into a directory of the test, with the files that
// have another name there.
func copyVectors(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files, err := filepath.Glob(filepath.Join(fwVectors(), "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors in %s, %v", fwVectors(), err)
	}
	for _, path := range files {
		data := mustRead(t, path)
		mustWrite(t, filepath.Join(dir, filepath.Base(path)), data)
		if filepath.Base(path) == "app1500.bin" {
			mustWrite(t, filepath.Join(dir, "FIRMWARE.BIN"), data)
		}
	}
	mustWrite(t, filepath.Join(dir, "empty.bin"), nil)
	return dir
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustWrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// must runs the program and returns what it prints.
func must(t *testing.T, args ...string) (out, log string) {
	t.Helper()
	out, log, err := try(t, args...)
	if err != nil {
		t.Fatalf("ccm %q: %v\n%s%s", args, err, out, log)
	}
	return out, log
}

// toolCommands returns the commands in the README of the vectors by the names of
// the bundles.
func toolCommands(t *testing.T) map[string][]string {
	t.Helper()
	commands := map[string][]string{}
	for line := range strings.Lines(string(mustRead(t, filepath.Join(fwVectors(), "README.md")))) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(cells[2], " `-") {
			continue
		}
		command, rest, _ := strings.Cut(strings.TrimSpace(cells[2])[1:], "`")
		names := strings.Split(strings.TrimSpace(cells[1]), ", ")
		commands[names[0]] = shellWords(command)
		if len(names) == 2 { // the same with another file, which follows the command
			args := shellWords(command)
			last := &args[len(args)-1]
			*last = (*last)[:strings.LastIndex(*last, "=")+1] + strings.Trim(rest, " ()")
			commands[names[1]] = args
		}
	}
	return commands
}

// shellWords splits a command line: double quotes hold words together, a backslash
// in them hides the next character.
func shellWords(line string) (words []string) {
	var word []byte
	quoted, hidden := false, false
	for _, c := range []byte(line + " ") {
		switch {
		case hidden:
			word, hidden = append(word, c), false
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			hidden = true
		case c == ' ' && !quoted:
			words, word = append(words, string(word)), nil
		default:
			word = append(word, c)
		}
	}
	return words
}

// TestBundleCreateVectors makes the bundles that the original tool has made, by the
// same commands. The tool has an order of its own for three and more entries.
func TestBundleCreateVectors(t *testing.T) {
	commands := toolCommands(t)
	t.Chdir(copyVectors(t))
	var index map[string]struct{ Origin string }
	if err := json.Unmarshal(mustRead(t, "index.json"), &index); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for name, vector := range index {
		if vector.Origin == "synthetic" {
			continue
		}
		ran++
		args, found := commands[strings.TrimSuffix(name, ".zip")]
		if !found {
			t.Errorf("%s: no command", name)
			continue
		}
		want := mustRead(t, name)
		for i, arg := range args {
			if arg == "--sign-key" { // there is no private key for it
				b, _, err := openBundle(name)
				if err != nil {
					t.Fatal(err)
				}
				var signature string
				json.Unmarshal(fwbundle.Attribute(b.Extra(), "sig0"), &signature)
				args[i], args[i+1] = "--extra-attr", "sig0="+signature
			}
		}
		must(t, slices.Concat([]string{"bundle", "create", "-o", "made.zip"}, args)...)
		sameBundle(t, name, mustRead(t, "made.zip"), want)
	}
	t.Logf("%d bundles", ran)
	if ran == 0 || ran != len(commands) {
		t.Errorf("%d bundles for %d commands", ran, len(commands))
	}
}

// sameBundle compares bundles.
func sameBundle(t *testing.T, name string, got, want []byte) {
	t.Helper()
	a, err := fwbundle.Open(bytes.NewReader(got), int64(len(got)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	b, err := fwbundle.Open(bytes.NewReader(want), int64(len(want)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if x, y := a.Manifest().Text(), b.Manifest().Text(); !bytes.Equal(x, y) {
		t.Errorf("%s: manifest\n%s\nwant\n%s", name, x, y)
	}
	byName := func(x, y fwbundle.Entry) int { return strings.Compare(x.Name, y.Name) }
	x, y := slices.SortedFunc(slices.Values(a.Entries()), byName), slices.SortedFunc(slices.Values(b.Entries()), byName)
	if !slices.Equal(x, y) {
		t.Errorf("%s: entries %v, want %v", name, x, y)
	}
	if len(x) < 3 && !bytes.Equal(got, want) {
		t.Errorf("%s: the bytes of the archives differ", name)
	}
}

// TestBundleCreate: what the vectors do not show.
func TestBundleCreate(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("src", 0o700); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, "src/a.bin", []byte("firmware"))
	mustWrite(t, "m.json", []byte(`{"name":"of the file","platform":"ccm_host","more":1,
		"parts":{"host_fw":{"src":"a.bin","addr":134217728},"pad":{"type":"STM32","fill":1,"size":4,"addr":134217736}}}`))
	_, log := must(t, "bundle", "create", "-o", "a.zip", "--manifest", "m.json", "--src-dir", "src", "--name", "given")
	wants(t, log, "a.zip: ", "2 parts, 2 for the host with 12 bytes")
	out, _ := must(t, "bundle", "inspect", "a.zip")
	wants(t, out, "name          given", "more          more=1", "0x08000000", "fill          0x01", "file          a.bin", "signatures\n  none")
	must(t, "bundle", "create", "-o", "b.zip", "-i", "a.zip", "pad:-")
	out, _ = must(t, "bundle", "verify", "b.zip")
	wants(t, out, "b.zip: good: platform ccm_host, 1 part, 1 for the host with 8 bytes\n")

	mustWrite(t, "hex.json", []byte(`{"parts":{"host_fw":{"src":"a.hex","addr":0}}}`))
	for _, c := range []struct{ args, want string }{
		{"-o x --manifest hex.json", "give a HEX file as a PART"},
		{"-o x --manifest /no/such", "/no/such"},
		{"-o x --manifest m.json", `part "host_fw": open a.bin`},
		{"-o x -i m.json", "m.json: fwbundle: container"},
		{"-o x --build-info src/a.bin a:src=src/a.bin", "src/a.bin: fwbundle: build info"},
		{"-o x a:src=none.bin", "none.bin"},
		{"-o x a:type=STM32", "neither src nor fill"},
		{"-o x a:src=src/a.bin --sign-key src/a.bin", "src/a.bin: fwbundle: no private key"},
		{"-o /no/such/x a:src=src/a.bin", "/no/such"},
	} {
		_, _, err := try(t, append([]string{"bundle", "create"}, strings.Fields(c.args)...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != 1 {
			t.Errorf("%s: %v, want %s", c.args, err, c.want)
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a bundle that cannot be made was written")
	}
}

// writeKeys makes a pair of keys of each kind.
func writeKeys(t *testing.T) {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"ec": ec, "ed": ed} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	der, _ := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	mustWrite(t, "ec.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mustWrite(t, "ec.b64", []byte(base64.StdEncoding.EncodeToString(der)+"\n"))
	der, _ = x509.MarshalPKIXPublicKey(ed.Public())
	mustWrite(t, "ed.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mustWrite(t, "ed.b64", []byte(base64.StdEncoding.EncodeToString(ed.Public().(ed25519.PublicKey))))
}

// TestBundleSign: signatures are made, added, verified and missed.
func TestBundleSign(t *testing.T) {
	t.Chdir(t.TempDir())
	writeKeys(t)
	mustWrite(t, "a.bin", []byte("firmware"))
	mustWrite(t, "build", []byte(`{"build_version":"1.9"}`))
	must(t, "bundle", "create", "-o", "a.zip", "--platform", "ccm_host", "--build-info", "build", "--sign-key=", "--sign-key", "ec", "host_fw:src=a.bin,addr=0x08000000")
	out, _ := must(t, "bundle", "inspect", "a.zip")
	wants(t, out, "sig1          ECDSA P-256")
	_, log := must(t, "bundle", "sign", "a.zip", "-o", "b.zip", "--key", "3=ed")
	wants(t, log, "b.zip: ", "signatures ed3 sig1")
	must(t, "bundle", "sign", "a.zip", "--key", "ec")
	for _, c := range []struct{ args, want string }{ // good if it begins with a file
		{"b.zip --key 1=ec.pub --key 3=ed.pub", "b.zip: good: version 1.9, platform ccm_host, 1 part, 1 for the host with 8 bytes, signatures ed3 sig1, good: sig1 ed3\n"},
		{"b.zip --key 1=ec.b64 --key 3=ed.b64 --sig-req-mask 0x802", "b.zip: good: "},
		{"b.zip --key 1=ec.b64 --sig-req-mask -1", "b.zip: good: "},
		{"a.zip --key ec.pub --key ec.pub", "a.zip: good: "},
		{"a.zip --installed-version 1.10", "a.zip: good: "},
		{"b.zip --key ec.pub", `fwbundle: signature: "manifest.json": required signature missing or wrong`},
		{"a.zip --sig-req-mask 0", "updates are locked"},
		{"a.zip --installed-version 1.10 --no-downgrade", "older than allowed"},
		{"a.zip --installed-version 1.10 --key ec.pub", "older than allowed"},
		{"a.zip --platform esp32", `policy: "manifest.json": wrong platform`},
		{"a.zip --flash-size 4", `policy: "a.bin": part "host_fw"`},
		{"a.zip --flash-base 0x08010000 --flash-size 64K", `policy: "a.bin": part "host_fw"`},
		{"a.zip --key ec", "openssl pkey -pubout"},
		{"a.zip --key a.bin", "a.bin: fwbundle: not an ECDSA"},
		{"a.zip --key none", "none: no such file"},
		{"a.zip --key 1=ec.pub --key 1=ec.pub", "slot 1 has a key already"},
	} {
		out, _, err := try(t, append([]string{"bundle", "verify"}, strings.Fields(c.args)...)...)
		if strings.Contains(c.want, ": good: ") {
			if !strings.HasPrefix(out, c.want) || err != nil {
				t.Errorf("%s: %s, %v", c.args, out, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != 1 || out != "" {
			t.Errorf("%s: %v, want %s", c.args, err, c.want)
		}
	}
	if _, _, err := try(t, "bundle", "sign", "a.zip", "--key", "1=ec", "--key", "ec"); err == nil || !strings.Contains(err.Error(), "has a key already") {
		t.Errorf("two keys in one slot: %v", err)
	}
}

// TestBundleNotOverInputs: what is read is not written over, but for the bundle that is
// changed.
func TestBundleNotOverInputs(t *testing.T) {
	t.Chdir(t.TempDir())
	writeKeys(t)
	mustWrite(t, "a.bin", pattern(100))
	mustWrite(t, "build", []byte(`{"build_version":"1.9"}`))
	if err := os.Symlink("a.bin", "link"); err != nil {
		testbed.Missing(t, "symlinks", err)
	}
	const make = "bundle create --platform ccm_host a:type=STM32,src=a.bin,addr=0x08000000 "
	must(t, strings.Fields(make+"-o a.zip")...)
	for args, file := range map[string]string{
		make + "-o a.bin":                      "a.bin",
		make + "-o link":                       "a.bin",
		make + "--build-info build -o build":   "build",
		make + "--sign-key ec -o ec":           "ec",
		"bundle sign a.zip --key ec -o ec":     "ec",
		"bundle sign a.zip --key 3=ed -o ./ed": "ed",
	} {
		before := string(mustRead(t, file))
		_, _, err := try(t, strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), "which is read: give another name") || string(mustRead(t, file)) != before {
			t.Errorf("%s: %v", args, err)
		}
	}
	must(t, "bundle", "create", "-i", "a.zip", "-o", "a.zip", "--name", "b")
	must(t, "bundle", "sign", "a.zip", "-o", "a.zip", "--key", "ec")
}

// TestBundleBad: what is wrong is told with the stage and the entry.
func TestBundleBad(t *testing.T) {
	for name, want := range map[string]string{
		"bad-sha256.zip":  `bad-sha256.zip: fwbundle: part: "fw.bin": part "host_fw": cs_sha256: digest does not match`,
		"addr-wrap.zip":   `fwbundle: manifest: "manifest.json": part "host_fw"`,
		"no-platform.zip": `fwbundle: policy: "manifest.json": wrong platform`,
		"trunc-part.zip":  `fwbundle: container: `,
		"extra-short.zip": `fwbundle: container: "manifest.json"`,
		"app1024.bin":     `fwbundle: container: `,
	} {
		path := filepath.Join(fwVectors(), name)
		_, _, err := try(t, "bundle", "verify", path)
		if err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != 1 {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// TestBundleCreateWarns: a bundle that no device takes is made, as mos does, with
// a warning.
func TestBundleCreateWarns(t *testing.T) {
	t.Chdir(t.TempDir())
	mustWrite(t, "fw", pattern(100))
	for parts, want := range map[string]string{
		"a:type=STM32,src=fw":                 "no addr",
		"a:type=STM32,src=fw,addr=0x08000002": "a",
		"a:type=STM32,src=fw,addr=0x08000000 b:type=STM32,src=fw,addr=0x08000010": "overlap",
	} {
		_, log := must(t, append([]string{"bundle", "create", "-o", "x.zip", "--platform", "ccm_host"}, strings.Fields(parts)...)...)
		wants(t, log, "x.zip: ", "\nwarning: every device will refuse it: fwbundle: policy: ", want)
	}
	_, log := must(t, "bundle", "create", "-o", "x.zip", "--platform", "other", "a:type=STM32,src=fw,addr=0x08100000")
	if strings.Contains(log, "warning") {
		t.Errorf("a good bundle:\n%s", log)
	}
	_, log = must(t, "bundle", "create", "-o", "x.zip", "a:type=STM32,src=fw,addr=0x08000000")
	wants(t, log, "warning: ", "wrong platform")
}

// TestWriteFile: what is no plain file is not replaced.
func TestWriteFile(t *testing.T) {
	t.Chdir(t.TempDir())
	mustWrite(t, "a", []byte("old"))
	if err := os.Symlink("a", "link"); err != nil {
		testbed.Missing(t, "symlinks", err)
	}
	if err := writeFile("link", []byte("new"), 0o644); err != nil || string(mustRead(t, "a")) != "new" {
		t.Errorf("%q, %v", mustRead(t, "a"), err)
	}
	if err := writeFile(os.DevNull, []byte("x"), 0o644); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s is a file now", os.DevNull)
	}
	mustWrite(t, "a.tmp", []byte("mine"))
	if err := writeFile("a", nil, 0o644); err != nil || string(mustRead(t, "a.tmp")) != "mine" {
		t.Error(err)
	}
	if all, _ := os.ReadDir("."); len(all) != 3 {
		t.Errorf("left behind: %v", all)
	}
	if err := writeFile("no/such", nil, 0o644); err == nil || err.Error() != "write no/such: no such file or directory" {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat("a"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode has changed: %v, %v", info.Mode(), err)
	}
}
