package fwbundle_test

import (
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
)

// TestCompareVersions: the list is in ascending order; versions on one line are
// equal.
func TestCompareVersions(t *testing.T) {
	ascending := [][]string{
		{"", "latest", "1.", ".1", "1..2", "v1.0", "1.0-", "1.0-a..b", "1.0-a_b", "-1", "1.x"},
		{"0", "0.0.0", "000"},
		{"0.0.1"},
		{"1.0.0-alpha", "1-alpha", "1.0-alpha+5"},
		{"1.0.0-alpha.1"},
		{"1.0.0-alpha.beta"},
		{"1.0.0-beta"},
		{"1.0.0-beta.2", "1.0-beta.02"},
		{"1.0.0-beta.11"},
		{"1.0.0-rc.1"},
		{"1", "1.0", "1.0.0", "1.0.0+build", "01.0"},
		{"1.0.0.1"},
		{"1.9"},
		{"1.10-rc"},
		{"1.10"},
		{"2"},
		{"20181124"},
		{"99999999999999999999999999"},
		{"100000000000000000000000000.0"},
	}
	for i, line := range ascending {
		for _, a := range line {
			for j, other := range ascending {
				for _, b := range other {
					want := 0
					if i < j {
						want = -1
					} else if i > j {
						want = 1
					}
					if got := fwbundle.CompareVersions(a, b); got != want {
						t.Errorf("CompareVersions(%q, %q) = %d, want %d", a, b, got, want)
					}
				}
			}
		}
	}
}
