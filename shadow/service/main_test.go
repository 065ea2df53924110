package service_test

import (
	"os"
	"testing"

	"github.com/ccmkit/ccmkit/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// heavy returns n, or a tenth of it unless CCMKIT_FULL=1 asks for full counts.
func heavy(n int) uint64 {
	if os.Getenv("CCMKIT_FULL") != "1" {
		n /= 10
	}
	return uint64(n)
}
