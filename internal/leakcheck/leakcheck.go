// Package leakcheck fails a test binary that leaves goroutines behind.
package leakcheck

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// settle is how long goroutines that are already on their way out may take.
const settle = 2 * time.Second

// Main runs the tests of a package and exits with failure if, after they have
// passed, goroutines other than the runtime's and the test runner's are left.
// Use it as the whole body of TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := Wait(0); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines left after the tests:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// Wait gives goroutines up to two seconds to end and returns the stacks of
// those beyond allowed that are still there, or the empty string.
func Wait(allowed int) string {
	deadline := time.Now().Add(settle)
	for {
		left := stray()
		if len(left) <= allowed {
			return ""
		}
		if time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stray returns the stacks of goroutines that a test started.
func stray() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var out []string
	for i, g := range strings.Split(string(buf), "\n\n") {
		if i == 0 || harmless(g) { // the first is the caller
			continue
		}
		out = append(out, g)
	}
	return out
}

// harmless reports whether a goroutine belongs to the runtime or the testing
// package.
func harmless(stack string) bool {
	for _, s := range []string{
		"testing.(*M).", "testing.tRunner", "testing.runTests", "testing.(*T).Run", "testing.(*B).",
		"testing.runFuzzing", "testing.runFuzzTests", "runtime.goexit0", "created by runtime",
		"runtime.gc", "runtime/trace", "signal.signal_recv", "os/signal.loop", "internal/fuzz",
	} {
		if strings.Contains(stack, s) {
			return true
		}
	}
	return strings.TrimSpace(stack) == ""
}
