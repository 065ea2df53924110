package shadow_test

import "os"

// full reports whether the heavy tests run with all their cases.
func full() bool { return os.Getenv("CCMKIT_FULL") == "1" }

// heavy returns a count of cases, or a tenth of it unless the tests are full.
func heavy(n int) int {
	if full() {
		return n
	}
	return n / 10
}
