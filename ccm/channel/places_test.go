package channel

import "testing"

// TestPlacesForget: nothing is kept of channels that have no calls.
func TestPlacesForget(t *testing.T) {
	p := places{total: 9, each: 2}
	for key := range 1000 {
		for range 2 {
			if !p.take(key) {
				t.Fatal("no place")
			}
			close(p.turn(key).over)
		}
		for range 2 {
			p.giveEach(key)
			p.giveTotal()
		}
	}
	if len(p.byKey) != 0 || len(p.last) != 0 || p.used != 0 {
		t.Errorf("%d channels, %d turns, %d places", len(p.byKey), len(p.last), p.used)
	}
}
