package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Two passes of some benchmarks. The second pass ran on a machine twice as
// slow, and its MB/s of the stream are the other way round.
const firstPass = `goos: linux
goarch: amd64
pkg: github.com/ccmkit/ccmkit/bench
BenchmarkCall/ccmkit-2         	   16044	      5500 ns/op	   2.70 MB/s	       1 B/op	       0 allocs/op
BenchmarkSum/ccmkit-2          	  367950	       100.0 ns/op	 470.00 MB/s	       0 B/op	       0 allocs/op
BenchmarkSum/gjson-2           	  115119	      1000 ns/op	  47.00 MB/s	      16 B/op	       3 allocs/op
BenchmarkSum/jrpc2-2           	    8936	     10000 ns/op	   6.30 MB/s	    2656 B/op	      61 allocs/op
BenchmarkStream/ccmkit-2       	      49	   4000000 ns/op	 250.00 MB/s	       5 B/op	       0 allocs/op
BenchmarkStream/jsonvalid-2    	      27	   8000000 ns/op	 125.00 MB/s	       0 B/op	       0 allocs/op
PASS
ok  	github.com/ccmkit/ccmkit/bench	5.471s
`

const secondPass = `BenchmarkSum/ccmkit 	  367950	       200 ns/op	 235.00 MB/s	       0 B/op	       0 allocs/op
BenchmarkSum/gjson  	  115119	      1000 ns/op	  47.00 MB/s	      16 B/op	       3 allocs/op
BenchmarkSum/jrpc2  	    8936	     40000 ns/op	   1.60 MB/s	    2656 B/op	      61 allocs/op
BenchmarkStream/ccmkit	      49	   8000000 ns/op	 125.00 MB/s	       5 B/op	       0 allocs/op
BenchmarkStream/jsonvalid	  27	   8000000 ns/op	 125.00 MB/s	       0 B/op	       0 allocs/op
`

func TestParse(t *testing.T) {
	passes := parse(firstPass + secondPass)
	if len(passes) != 2 {
		t.Fatalf("%d passes, want 2", len(passes))
	}
	want := []string{"Call/ccmkit", "Sum/ccmkit", "Sum/gjson", "Sum/jrpc2", "Stream/ccmkit", "Stream/jsonvalid"}
	if !slices.Equal(passes[0].names, want) || !slices.Equal(passes[1].names, want[1:]) {
		t.Errorf("names %q and %q", passes[0].names, passes[1].names)
	}
	for _, c := range []struct {
		pass        int
		bench, unit string
		want        float64
	}{
		{0, "Sum/ccmkit", "ns/op", 100},
		{0, "Sum/jrpc2", "MB/s", 6.3},
		{0, "Sum/jrpc2", "B/op", 2656},
		{1, "Sum/jrpc2", "allocs/op", 61},
	} {
		if v, found := passes[c.pass].figure(c.bench, c.unit); !found || v != c.want {
			t.Errorf("pass %d, %s: %v %s, want %v", c.pass, c.bench, v, c.unit, c.want)
		}
	}
	if _, found := passes[1].figure("Call/ccmkit", "ns/op"); found {
		t.Error("a figure that was not measured")
	}
	for _, text := range []string{"", "PASS\n", "BenchmarkSum\n", "--- FAIL: BenchmarkSum\n"} {
		if p := parse(text); len(p) != 0 {
			t.Errorf("parse(%q) gave %d passes", text, len(p))
		}
	}
}

// TestRatios: a ratio is the median of the ratios inside the passes, not the
// ratio of the medians.
func TestRatios(t *testing.T) {
	passes := parse(firstPass + secondPass)
	for _, c := range []struct {
		bench, against string
		want           float64
	}{
		{"Sum/ccmkit", "gjson", 0.15},   // of 0.1 and 0.2
		{"Sum/ccmkit", "jrpc2", 0.0075}, // of 0.01 and 0.005; 0.006 by medians
		{"Stream/ccmkit", "jsonvalid", 1.5},
		{"Call/ccmkit", "", 5.5},
	} {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.bench == c.bench && r.against == c.against })
		v, found := median(passes, rules[i].value)
		if !found || math.Abs(v-c.want) > 1e-9 {
			t.Errorf("%s against %s: %v, want %v", c.bench, c.against, v, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	slow := strings.Replace(firstPass, "4000000 ns/op	 250.00", "8000000 ns/op	 125.00", 1)
	text, missed := table(parse(slow + secondPass))
	for _, want := range []string{
		"| Sum/ccmkit | 150 | 352 | 0 | 0.150 of gjson | ≤ 0.2 | 0.14 | yes |\n|  |  |  |  | 0.007 of jrpc2 | ≤ 0.02 | – | yes |\n| Sum/gjson | 1000 | 47 | 3 |  |  |  |  |\n",
		"| Stream/ccmkit | 8000000 | 125 | 0 | 1.000 of jsonvalid | ≥ 1.4 | 2 | NO |",
		"| Call/ccmkit | 5500 | 2.70 | 0 | 5.50 µs at best | ≤ 8, 0 allocs | – | yes |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks\n%s\nit is\n%s", want, text)
		}
	}
	if strings.Index(text, "| Call") < strings.Index(text, "| Stream") {
		t.Errorf("the rows are not in order:\n%s", text)
	}
	all := strings.Join(missed, "\n")
	if !strings.Contains(all, "Stream/ccmkit: 1.000 of jsonvalid, bound ≥ 1.4") ||
		!strings.Contains(all, "Merge/ccmkit: not measured, bound ≤ 0.08") || strings.Contains(all, "Sum/") {
		t.Errorf("missed:\n%s", all)
	}
	if _, missed := table(parse(strings.Replace(firstPass, "0 allocs/op", "1 allocs/op", 1))); !strings.Contains(strings.Join(missed, "\n"), "Call/ccmkit: 5.50 µs at best, bound ≤ 8, 0 allocs") {
		t.Errorf("an allocation in Call was not noticed: %q", missed)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	saved, md := filepath.Join(dir, "saved.txt"), filepath.Join(dir, "README.md")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(saved, firstPass)
	write(md, "before\n"+markBegin+"old\n"+markEnd+"after\n")
	var out, errs bytes.Buffer
	if status := run([]string{"-md", md, saved}, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	got, err := os.ReadFile(md)
	if want := "before\n" + markBegin + out.String() + markEnd + "after\n"; err != nil || string(got) != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"-check", saved}, 1}, // most bounds were not measured
		{[]string{filepath.Join(dir, "absent")}, 2},
		{[]string{"-nosuchflag"}, 2},
		{[]string{"-h"}, 0},
		{[]string{"-md", saved, saved}, 2}, // no marks in that file
	} {
		if status := run(c.args, &out, &errs); status != c.status {
			t.Errorf("%q: status %d, want %d", c.args, status, c.status)
		}
	}
	write(saved, "PASS\n")
	if status := run([]string{saved}, &out, &errs); status != 2 {
		t.Errorf("status %d for a file without results", status)
	}
}
