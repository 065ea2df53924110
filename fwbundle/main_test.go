package fwbundle_test

import (
	"os"
	"testing"

	"github.com/ccmkit/ccmkit/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// heavy returns a count of cases, or a tenth of it unless the tests are full.
func heavy(n int) int {
	if os.Getenv("CCMKIT_FULL") == "1" {
		return n
	}
	return n / 10
}
