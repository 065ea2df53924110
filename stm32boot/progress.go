package stm32boot

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
	// the bytes of the pages. Done may fall when a page must be repaired.
	Done, Total int64

	// Pages is the page map, in the order of Plan.Pages. It is valid until the
	// callback returns and must not be changed.
	Pages []PageState
}

// meter counts progress.
type meter struct {
	report            func(Progress)
	phase             Phase
	done, total, best [phases]int64
	pages             []PageState
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

func (m *meter) tell() {
	if m.report != nil {
		m.report(Progress{m.phase, m.done[m.phase], m.total[m.phase], m.pages})
	}
}
