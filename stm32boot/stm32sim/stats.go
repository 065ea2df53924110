package stm32sim

import (
	"maps"
	"slices"
	"time"
)

// Stats counts what has happened since the target was made. Bytes are those of
// the ROM; what applications receive and send does not count.
type Stats struct {
	Received uint64 // bytes, those lost by DropFirst included
	Sent     uint64
	Turns    uint64          // bursts: how often the direction changed, the first byte included
	Early    uint64          // bytes that had arrived before the answer to the ones before them was sent
	Commands map[byte]uint64 // accepted commands
	Nacks    uint64
	Busy     uint64 // BUSY bytes sent

	Erases     []int         // how often each page was erased, by its number
	MassErases uint64        // of all flash or a bank; the pages count in Erases too
	Words      uint64        // flash words programmed
	Programmed uint64        // bytes programmed
	Violations uint64        // flash words programmed against the rules; see Options.ECC
	Protected  uint64        // writes and erases that write protection has undone
	Working    time.Duration // time spent on flash

	Syncs     uint64 // first bytes answered
	Resets    uint64 // of any cause
	Edges     uint64 // changes of the levels of the pins
	PowerCuts uint64
	Faults    uint64 // faults that have struck
}

// Stats returns the counters. The caller owns them.
func (t *Target) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Commands, s.Erases = maps.Clone(s.Commands), slices.Clone(s.Erases)
	return s
}

// count changes the counters.
func (t *Target) count(change func(s *Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.stats)
}
