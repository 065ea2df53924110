package ccm_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// TestScenario19: two runs with the same seed have the same bytes on the line at
// the same times, faults and log text included. The test is the 15 lines of run.
func TestScenario19(t *testing.T) {
	run := func(seed uint64) (digest string) {
		synctest.Test(t, func(t *testing.T) {
			line := ccmtest.NewUART(ccmtest.Line{Baud: 9600, Seed: seed, Faults: ccmtest.Uniform(1e-3), Split: true})
			mcu := ccmtest.NewMCU(ccmtest.MCUOptions{Seed: seed, Chatter: 300 * time.Millisecond, BootText: "boot\r\n"})
			go mcu.Run(t.Context(), line.Host())
			m, _ := ccm.New(ccm.Config{Hosts: []ccm.HostConfig{{Open: line.OpenModule, FirstID: 1}}})
			go m.Run(t.Context())
			m.Host("").Wait(t.Context())
			for i := range 50 {
				m.Host("").Call(t.Context(), nil, "Sum", "[%d,%d]", i, i)
			}
			digest = line.Digest()
		})
		return digest
	}
	first := run(19)
	for range 9 {
		if again := run(19); again != first || first == "" {
			t.Fatalf("digests %q and %q", first, again)
		}
	}
	if other := run(20); other == first {
		t.Error("the seed makes no difference")
	}
}
