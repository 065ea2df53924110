package channel_test

import (
	"os"
	"testing"

	"github.com/ccmkit/ccmkit/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// heavy returns n in full runs, else a tenth of it.
func heavy(n int) int {
	if os.Getenv("CCMKIT_FULL") == "1" {
		return n
	}
	return max(n/10, 1)
}
