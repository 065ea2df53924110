package stm32boot

import (
	"fmt"
	"time"
)

// Journal keeps one small record, so that an interrupted flashing goes on where
// it was: after a power cut of the computer that flashes, or of the target.
//
// Save replaces the record and returns when the new one is safe; a cut during
// Save must leave the old or the new one. Load returns the last one, nil if there
// was none. The record has about 60 bytes, and more when there is something to
// preserve (those bytes) or at the end (20 bytes a page). It is saved when a
// step begins, at most once a second while writing, and at the end.
type Journal interface {
	Load() ([]byte, error)
	Save(record []byte) error
}

// saveEvery is how often the progress of writing is saved at most.
const saveEvery = time.Second

// load returns what the journal says of the target. A record that makes no
// sense says nothing, like none.
func load(j Journal) (State, error) {
	if j == nil {
		return State{}, nil
	}
	b, err := j.Load()
	if err != nil {
		return State{}, fmt.Errorf("stm32boot: journal: %w", err)
	}
	s, err := ParseState(b)
	if err != nil {
		return State{}, nil
	}
	return s, nil
}

// journaling writes the journal during one flashing.
type journaling struct {
	journal Journal
	state   State
	saved   time.Time
	buf     []byte
}

// save records a step; the pages before next are written.
func (j *journaling) save(step Step, next uint32) error {
	if j.journal == nil {
		return nil
	}
	j.state.Step, j.state.Next = step, next
	j.saved = time.Now()
	j.buf, _ = j.state.AppendBinary(j.buf[:0])
	if err := j.journal.Save(j.buf); err != nil {
		return fmt.Errorf("stm32boot: journal: %w", err)
	}
	return nil
}

// advance records a step on the way. A failure is of no consequence: what was
// recorded before it makes a flashing that is interrupted now do more than it
// must. The records at the beginning and at the end are not taken so lightly.
func (j *journaling) advance(step Step, next uint32) { _ = j.save(step, next) }

// wrote records that the pages before next are written, now and then.
func (j *journaling) wrote(next uint32) {
	if j.state.Step == StepWrite && time.Since(j.saved) >= saveEvery {
		j.advance(StepWrite, next)
	}
}
