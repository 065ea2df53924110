package testbed

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// stm32flashLimit is how long a session of stm32flash may take.
const stm32flashLimit = time.Minute

// STM32Flash runs stm32flash with these arguments, of which the last one is the
// port, and returns what it printed. The error is that of its exit status. The
// test is skipped if the program is not installed; see [Require]. On a pseudo
// terminal, which has no parity, it needs "-m", "8n1".
func STM32Flash(t testing.TB, args ...string) (output string, err error) {
	t.Helper()
	Require(t, "stm32flash")
	ctx, cancel := context.WithTimeout(t.Context(), stm32flashLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "stm32flash", args...).CombinedOutput()
	return string(out), err
}
