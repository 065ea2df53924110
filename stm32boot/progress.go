package stm32boot

import "time"

// Phase is what a flashing is busy with.
type Phase uint8

// The phases, in their order. Write and verify come twice, as the first page comes
// last, and all three come again when a page must be repaired.
const (
	PhaseRead   Phase = iota // reading pages, to keep those that are right and to preserve
	PhaseErase               // erasing
	PhaseWrite               // writing, the first page last
	PhaseVerify              // reading back
	PhaseDone                // the flash holds the image
	phases
)

// String returns "read", "erase", "write", "verify" or "done".
func (p Phase) String() string {
	switch p {
	case PhaseRead:
		return "read"
	case PhaseErase:
		return "erase"
	case PhaseWrite:
		return "write"
	case PhaseVerify:
		return "verify"
	}
	return "done"
}

// PageState is what is known of a page.
type PageState uint8

// The states of pages. String gives one character for a map.
const (
	PageWaiting  PageState = iota // '.': nothing is known yet
	PageKept                      // '=': holds what the image wants, and stays
	PageErased                    // '_'
	PageWritten                   // 'w'
	PageVerified                  // 'v': read back
	PageBad                       // '!': is to be repaired
)

// String returns the character for the map.
func (s PageState) String() string {
	const chars = ".=_wv!"
	if int(s) < len(chars) {
		return chars[s : s+1]
	}
	return "?"
}

// Progress tells how far a flashing has come.
type Progress struct {
	Phase Phase

	// Done and Total count the image's bytes in this phase; PhaseErase counts
	// the bytes of the pages, and while the target erases some, Done is an
	// estimate by the time that takes. Done may fall when something fails.
	Done, Total int64

	// Elapsed is for how long the target has been erasing, and Expected how long
	// that typically takes; 0 at other times. An erase of the whole flash can take
	// half a minute: meanwhile Progress is called four times a second.
	Elapsed, Expected time.Duration

	// Pages is the page map, in the order of Plan.Pages. It is valid until the
	// callback returns and must not be changed.
	Pages []PageState
}

// waitReport is how often progress is told while the target erases.
const waitReport = 250 * time.Millisecond

// meter counts progress.
type meter struct {
	report            func(Progress)
	phase             Phase
	done, total, best [phases]int64
	pages             []PageState
	wait              wait
}

// wait is an erase that the target is busy with. The zero wait is none.
type wait struct {
	begun, told    time.Time
	bytes          int64
	last, expected time.Duration // last: when it was last looked at, since begun
}

// enter switches to a phase, which may have been left before.
func (m *meter) enter(p Phase) {
	m.phase = p
	m.tell()
}

// add counts n bytes of the phase, fewer than none when they are to be done
// again. It reports whether the phase has never been that far.
func (m *meter) add(n int64) (further bool) {
	done, best := &m.done[m.phase], &m.best[m.phase]
	*done += n
	if further = *done > *best; further {
		*best = *done
	}
	m.tell()
	return further
}

// mark changes the state of a page.
func (m *meter) mark(page int, s PageState) { m.pages[page] = s }

// await notes that the target begins to erase so many bytes, which typically
// takes as long as expected.
func (m *meter) await(now time.Time, bytes int64, expected time.Duration) {
	m.wait = wait{begun: now, told: now, bytes: bytes, expected: expected}
}

// waiting is told that the target is still erasing.
func (m *meter) waiting(now time.Time) {
	if now.Sub(m.wait.told) >= waitReport {
		m.wait.told, m.wait.last = now, now.Sub(m.wait.begun)
		m.tell()
	}
}

// awaited ends the wait.
func (m *meter) awaited() { m.wait = wait{} }

// estimate returns how many of the bytes are erased, by the time: never all.
func (w *wait) estimate() int64 {
	if w.expected <= 0 {
		return 0
	}
	return int64(float64(w.bytes) * min(0.95, float64(w.last)/float64(w.expected)))
}

func (m *meter) tell() {
	if m.report == nil {
		return
	}
	p := Progress{Phase: m.phase, Done: m.done[m.phase], Total: m.total[m.phase], Pages: m.pages}
	if m.phase == PhaseErase {
		p.Done += m.wait.estimate()
		p.Elapsed, p.Expected = m.wait.last, m.wait.expected
	}
	m.report(p)
}
