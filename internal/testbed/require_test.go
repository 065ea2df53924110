package testbed

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// judge records how a test would have ended.
type judge struct {
	testing.TB
	verdict string
}

func (j *judge) Helper() {}

func (j *judge) Skipf(format string, args ...any) {
	j.verdict = "skip: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (j *judge) Fatalf(format string, args ...any) {
	j.verdict = "fail: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// verdict returns how a test that requires names ends.
func verdict(t *testing.T, names ...string) string {
	j := &judge{TB: t, verdict: "run"}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Require(j, names...)
	}()
	<-ended
	return j.verdict
}

func TestRequire(t *testing.T) {
	const absent = "no-such-program-7c1"
	tests := []struct {
		name, list string
		want       string // prefix
		names      []string
	}{
		{"nothing", "", "run", nil},
		{"present", "", "run", []string{"go"}},
		{"present and required", "go", "run", []string{"go"}},
		{"absent", "", "skip: needs " + absent, []string{absent}},
		{"absent, others required", "go,pty", "skip: needs " + absent, []string{absent}},
		{"absent, longer name required", absent + "x", "skip: needs " + absent, []string{absent}},
		{"absent and required", absent, "fail: " + absent, []string{absent}},
		{"absent and required among others", "go, " + absent + " ,pty", "fail: " + absent, []string{absent}},
		{"second of two", "", "skip: needs " + absent, []string{"go", absent}},
		{"second of two required", absent, "fail: " + absent, []string{"go", absent}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(requireVariable, test.list)
			got := verdict(t, test.names...)
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("verdict %q, want %q", got, test.want)
			}
		})
	}
}

func TestRequirePTY(t *testing.T) {
	err := findPTY()
	t.Setenv(requireVariable, "pty")
	got := verdict(t, "pty")
	if (err == nil) != (got == "run") {
		t.Errorf("verdict %q with error %v", got, err)
	}
	if err != nil && !strings.HasPrefix(got, "fail: pty") {
		t.Errorf("verdict %q, want a failure that names pty", got)
	}
}
