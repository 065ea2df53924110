package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// requireVariable lists what must not be missing.
const requireVariable = "CI_REQUIRE"

// Require ends the test unless everything named is there. The test is skipped,
// or fails if CI_REQUIRE has the name of what is missing.
func Require(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := find(name); err != nil {
			Missing(t, name, err)
		}
	}
}

// Missing ends a test that cannot do without name: Require for what only the test
// itself can find out.
func Missing(t testing.TB, name string, why error) {
	t.Helper()
	if required(os.Getenv(requireVariable), name) {
		t.Fatalf("%s is missing, but %s lists it: %v", name, requireVariable, why)
	}
	t.Skipf("needs %s: %v", name, why)
}

// required reports whether name is in the comma-separated list.
func required(list, name string) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(s string) bool {
		return strings.TrimSpace(s) == name
	})
}

// find returns nil if name is there.
func find(name string) error {
	if name == "pty" {
		return findPTY()
	}
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("%s not installed: %w", name, err)
	}
	return nil
}
