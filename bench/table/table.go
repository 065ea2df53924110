package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pass holds what one pass has measured.
type pass struct {
	names   []string // of the benchmarks, as they ran: "Sum/ccmkit"
	figures map[string]map[string]float64
}

// figure returns a figure of a benchmark by its unit.
func (p *pass) figure(bench, unit string) (float64, bool) {
	v, found := p.figures[bench][unit]
	return v, found
}

// resultLine is a line such as "BenchmarkSum/ccmkit-2   1000   98.7 ns/op ...".
// The number after the dash is GOMAXPROCS, which is left out when it is 1.
var resultLine = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.+)$`)

// parse reads the output of go test -bench. A benchmark that stands there k
// times has run in k passes.
func parse(text string) (passes []pass) {
	seen := make(map[string]int)
	for line := range strings.Lines(text) {
		m := resultLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		figures := make(map[string]float64)
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				figures[fields[i+1]] = v
			}
		}
		k := seen[m[1]]
		seen[m[1]]++
		if k == len(passes) {
			passes = append(passes, pass{figures: make(map[string]map[string]float64)})
		}
		passes[k].names = append(passes[k].names, m[1])
		passes[k].figures[m[1]] = figures
	}
	return passes
}

// median returns the median of what of gives for the passes, and false if it
// gives nothing for any.
func median(passes []pass, of func(*pass) (float64, bool)) (float64, bool) {
	var all []float64
	for i := range passes {
		if v, found := of(&passes[i]); found {
			all = append(all, v)
		}
	}
	n := len(all)
	if n == 0 {
		return 0, false
	}
	slices.Sort(all)
	return (all[(n-1)/2] + all[n/2]) / 2, true
}

// best returns the smallest of what of gives for the passes, or the largest, and
// false if it gives nothing for any.
func best(passes []pass, largest bool, of func(*pass) (float64, bool)) (v float64, found bool) {
	for i := range passes {
		if w, has := of(&passes[i]); has && (!found || (w > v) == largest) {
			v, found = w, true
		}
	}
	return v, found
}

// rule is what a benchmark must reach: a ratio by the median of the passes, a
// plain figure by the best of them, because it depends on what else the machine
// is doing.
type rule struct {
	bench       string
	against     string // the contender it is compared with, or "" for a plain figure
	unit        string // of the figure that counts
	name        string // unit of a plain figure in the table
	scale       float64
	atLeast     bool // the figure must not be below the bound; else not above it
	bound, goal float64
	noAllocs    bool
}

var rules = []rule{
	{bench: "Sum/ccmkit", against: "gjson", unit: "ns/op", bound: 0.20, goal: 0.14},
	{bench: "Sum/ccmkit", against: "jrpc2", unit: "ns/op", bound: 0.02},
	{bench: "Notification/ccmkit", against: "gjson", unit: "ns/op", bound: 0.20, goal: 0.12},
	{bench: "Params16K/ccmkit", against: "jsonvalid", unit: "ns/op", bound: 0.38, goal: 0.30},
	{bench: "Stream/ccmkit", against: "jsonvalid", unit: "MB/s", atLeast: true, bound: 1.4, goal: 2.0},
	{bench: "Find16K/ccmkit", against: "gjson", unit: "ns/op", bound: 2.2, goal: 1.8},
	{bench: "Merge/ccmkit", against: "sjson", unit: "ns/op", bound: 0.08, goal: 0.05},
	{bench: "Decoder/ccmkit", unit: "MB/s", name: "GB/s", scale: 1e-3, atLeast: true, bound: 1, goal: 2.5},
	{bench: "Call/ccmkit", unit: "ns/op", name: "µs", scale: 1e-3, bound: 8, noAllocs: true},
}

// value returns the figure of the rule in one pass.
func (r *rule) value(p *pass) (float64, bool) {
	v, found := p.figure(r.bench, r.unit)
	if r.against == "" {
		return v * r.scale, found
	}
	work, _, _ := strings.Cut(r.bench, "/")
	w, found2 := p.figure(work+"/"+r.against, r.unit)
	return v / w, found && found2 && w > 0
}

// judge returns the cells of the rule, from the ratio on, and whether it holds.
func (r *rule) judge(passes []pass) (cells []string, holds bool) {
	sign, goal := "≤", "–"
	if r.atLeast {
		sign = "≥"
	}
	bound := fmt.Sprintf("%s %.2g", sign, r.bound)
	if r.noAllocs {
		bound += ", 0 allocs"
	}
	if r.goal > 0 {
		goal = fmt.Sprintf("%.2g", r.goal)
	}
	v, found := median(passes, r.value)
	if r.against == "" {
		v, found = best(passes, r.atLeast, r.value)
	}
	if !found {
		return []string{"not measured", bound, goal, "NO"}, false
	}
	holds = v <= r.bound
	if r.atLeast {
		holds = v >= r.bound
	}
	if r.noAllocs {
		allocs, found := medianOf(passes, r.bench, "allocs/op")
		holds = holds && found && allocs == 0
	}
	what := fmt.Sprintf("%.2f %s at best", v, r.name)
	if r.against != "" {
		what = fmt.Sprintf("%.3f of %s", v, r.against)
	}
	ok := "yes"
	if !holds {
		ok = "NO"
	}
	return []string{what, bound, goal, ok}, holds
}

func medianOf(passes []pass, bench, unit string) (float64, bool) {
	return median(passes, func(p *pass) (float64, bool) { return p.figure(bench, unit) })
}

// works is the order of the benchmarks in the table. The contenders of each
// follow in the order in which they ran.
var works = []string{"Sum", "Notification", "Params16K", "Stream", "Find16K", "Merge", "Printf", "Decoder", "Call"}

// names returns the benchmarks of all passes in the order of the table.
func names(passes []pass) []string {
	var all []string
	for _, p := range passes {
		for _, name := range p.names {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	place := func(name string) int {
		work, _, _ := strings.Cut(name, "/")
		if i := slices.Index(works, work); i >= 0 {
			return i
		}
		return len(works)
	}
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(place(a), place(b)) })
	return all
}

// table returns the table in Markdown and the bounds that were missed.
func table(passes []pass) (text string, missed []string) {
	var b strings.Builder
	b.WriteString("| benchmark | ns/op | MB/s | allocs/op | ratio | bound | goal | ok? |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|:-:|\n")
	row := func(cells ...string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	all := names(passes)
	for _, name := range all {
		cells := []string{name}
		for _, unit := range []string{"ns/op", "MB/s", "allocs/op"} {
			cells = append(cells, number(medianOf(passes, name, unit)))
		}
		more := false
		for i := range rules {
			if rules[i].bench == name {
				verdict, _ := rules[i].judge(passes)
				row(append(cells, verdict...)...)
				cells, more = []string{"", "", "", ""}, true
			}
		}
		if !more {
			row(append(cells, "", "", "", "")...)
		}
	}
	for i := range rules {
		if cells, holds := rules[i].judge(passes); !holds {
			missed = append(missed, rules[i].bench+": "+cells[0]+", bound "+cells[1])
		}
	}
	return b.String(), missed
}

// number formats a figure with about three digits.
func number(v float64, found bool) string {
	switch {
	case !found:
		return ""
	case v >= 100 || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
