// Package vectors runs recorded test cases: JSON-lines files, one case a line.
//
// The files of a package are copies under its testdata/vectors. When the
// environment variable CCMKIT_VECTORS names a directory with the same layout,
// the files there are run instead. Files are found by pattern, every row runs,
// the number of rows run is logged for each file, and a missing or empty file
// fails the test.
package vectors

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// maxRow bounds the length of one line of a vector file.
const maxRow = 16 << 20

// Dir returns the directory that holds the vectors.
func Dir() string {
	if d := os.Getenv("CCMKIT_VECTORS"); d != "" {
		return d
	}
	return filepath.Join("testdata", "vectors")
}

// Files returns the files that match pattern (slash separated, relative to
// Dir). It fails the test if there are none.
func Files(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Dir(), filepath.FromSlash(pattern)))
	if err != nil {
		t.Fatalf("pattern %q: %v", pattern, err)
	}
	if len(files) == 0 {
		t.Fatalf("no vector file matches %q in %s", pattern, Dir())
	}
	return files
}

// Each runs check on every row of every file that matches pattern, decoded
// into a fresh T. Rows for which the optional header says so are not cases:
// pass header = 1 for files whose first line describes the others.
// A failing row is reported with its file and line; all rows run.
func Each[T any](t *testing.T, pattern string, header int, check func(t *testing.T, row T)) {
	t.Helper()
	for _, file := range Files(t, pattern) {
		lines := Lines(t, file)
		if len(lines) <= header {
			t.Fatalf("%s: no rows", file)
		}
		ran := 0
		for i, line := range lines[header:] {
			var row T
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatalf("%s:%d: %v", file, header+i+1, err)
			}
			t.Run(filepath.Base(file)+":"+strconv.Itoa(header+i+1), func(t *testing.T) { check(t, row) })
			ran++
		}
		t.Logf("%s: %d of %d rows", filepath.Base(file), ran, len(lines)-header)
		if ran != len(lines)-header {
			t.Errorf("%s: ran %d of %d rows", file, ran, len(lines)-header)
		}
	}
}

// Lines returns the non-empty lines of a file. It fails the test when the file
// cannot be read.
func Lines(t testing.TB, file string) [][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines [][]byte
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 64<<10), maxRow)
	for s.Scan() {
		if len(s.Bytes()) > 0 {
			lines = append(lines, append([]byte(nil), s.Bytes()...))
		}
	}
	if err := s.Err(); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return lines
}

// Text is a byte string as the vector files write it: member x as a JSON
// string, or x_hex when the bytes are not valid UTF-8.
func Text(s *string, hexed *string) []byte {
	switch {
	case hexed != nil:
		b, err := hex.DecodeString(*hexed)
		if err != nil {
			panic("vectors: bad hex in a vector file: " + err.Error())
		}
		return b
	case s != nil:
		return []byte(*s)
	}
	return nil
}
