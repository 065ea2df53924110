// Command table runs the benchmarks of the module in several passes and prints
// the table of the README: medians over the passes, with ratios that are taken
// inside each pass, because the speed of a shared machine changes between them.
//
//	go run ./table [flags] [file ...]
//
// With files, saved outputs of go test -bench are read instead; the k-th line of
// a benchmark in a file belongs to the k-th pass of that file.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// The table stands between these lines of the README.
const (
	markBegin = "<!-- bench:begin -->\n"
	markEnd   = "<!-- bench:end -->\n"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	passes    int
	benchtime string
	md, save  string
	check     bool
}

// run is main with its surroundings. It returns the exit status: 0, 1 for a
// bound that was missed with -check, 2 for a failure.
func run(args []string, stdout, stderr io.Writer) int {
	var o options
	fs := flag.NewFlagSet("table", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.passes, "passes", 6, "`number` of passes; each runs every benchmark once")
	fs.StringVar(&o.benchtime, "benchtime", "0.3s", "`time` for which each benchmark runs in each pass")
	fs.StringVar(&o.md, "md", "", "write the table into this `file` too, between the lines\n"+markBegin+strings.TrimSpace(markEnd))
	fs.StringVar(&o.save, "save", "", "append the outputs of the benchmarks to this `file`")
	fs.BoolVar(&o.check, "check", false, "exit with status 1 if a bound is missed or was not measured")
	fs.Usage = func() {
		fmt.Fprint(stderr, "usage: go run ./table [flags] [file ...]\n\n"+
			"Runs the benchmarks, or reads saved outputs of them, and prints a Markdown\n"+
			"table of medians, ratios and bounds.\n\n")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	missed, err := o.report(fs.Args(), stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "table:", err)
		return 2
	}
	for _, m := range missed {
		fmt.Fprintln(stderr, "missed:", m)
	}
	if o.check && len(missed) > 0 {
		return 1
	}
	return 0
}

// report gets the passes and writes the table. It returns the missed bounds.
func (o *options) report(files []string, stdout, stderr io.Writer) (missed []string, err error) {
	var passes []pass
	if len(files) > 0 {
		passes, err = load(files)
	} else {
		passes, err = o.measure(stderr)
	}
	if err != nil {
		return nil, err
	}
	if len(passes) == 0 {
		return nil, errors.New("no results of benchmarks")
	}
	text, missed := table(passes)
	if _, err := io.WriteString(stdout, text); err != nil {
		return nil, err
	}
	if o.md != "" {
		return missed, update(o.md, text)
	}
	return missed, nil
}

// measure runs the benchmarks.
func (o *options) measure(stderr io.Writer) (passes []pass, err error) {
	for i := range o.passes {
		fmt.Fprintf(stderr, "pass %d of %d\n", i+1, o.passes)
		cmd := exec.Command("go", "test", "-run", "^$", "-bench", ".", "-count", "1",
			"-benchtime", o.benchtime, "github.com/ccmkit/ccmkit/bench")
		cmd.Stderr = stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go test: %w\n%s", err, out)
		}
		if o.save != "" {
			if err := appendFile(o.save, out); err != nil {
				return nil, err
			}
		}
		passes = append(passes, parse(string(out))...)
	}
	return passes, nil
}

func appendFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// load reads saved outputs.
func load(files []string) (passes []pass, err error) {
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		passes = append(passes, parse(string(text))...)
	}
	return passes, nil
}

// update puts the table between the marks in a file.
func update(name, text string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	head, rest, begins := bytes.Cut(old, []byte(markBegin))
	_, tail, ends := bytes.Cut(rest, []byte(markEnd))
	if !begins || !ends {
		return fmt.Errorf("%s: not both of the lines %q and %q are in it", name, markBegin, markEnd)
	}
	return os.WriteFile(name, slices.Concat(head, []byte(markBegin+text+markEnd), tail), 0o644)
}
