package stm32boot

import (
	"context"
	"errors"
	"fmt"
)

// When to give up (section 6 of the protocol notes in doc.go).
const (
	maxFailures    = 3  // of one block in a row, then something is changed
	maxEscalations = 10 // without a block that got further
	maxRepairs     = 3  // of one page that reads back wrong
	minBlock       = 16 // bytes
)

// trouble counts failures.
type trouble struct {
	failures    int // of the block at hand, in a row
	escalations int // since the last progress
	level       int // escalations in all: what to try next
}

// clear is told that a block is done; further says that it is a new one.
func (t *trouble) clear(further bool) {
	t.failures = 0
	if further {
		t.escalations = 0
	}
}

// failed is told that an attempt failed. It returns nil if there is to be
// another, and otherwise the error to end with.
func (f *flasher) failed(ctx context.Context, cause error) error {
	if pointless(cause) {
		return cause
	}
	f.result.Retries++
	if refused(cause) && f.c.protected(ctx) {
		return fmt.Errorf("%w: %w", ErrReadProtected, cause)
	}
	if f.trouble.failures++; f.trouble.failures < maxFailures {
		return nil
	}
	f.trouble.failures = 0
	return f.escalate(ctx, cause)
}

// pointless reports whether an error will not go away.
func pointless(err error) bool {
	return fatal(err) || errors.Is(err, ErrNoReset) || errors.Is(err, ErrNotConnected) ||
		errors.Is(err, ErrUnsupported)
}

// refused reports whether the target refused a command as such.
func refused(err error) bool {
	nack, is := errors.AsType[*NackError](err)
	return is && nack.Stage == StageCommand
}

// escalate resets the target, from the second time on with smaller blocks, and
// each third time at a lower rate.
func (f *flasher) escalate(ctx context.Context, cause error) error {
	if f.trouble.escalations++; f.trouble.escalations > maxEscalations {
		return fmt.Errorf("%w after %d resets: %w", ErrGaveUp, maxEscalations, cause)
	}
	f.trouble.level++
	f.result.Escalations++
	if f.trouble.level > 1 {
		f.size = max(f.size/2, minBlock, f.p.align())
	}
	err := f.c.reconnect(ctx, f.trouble.level%3 == 0)
	if err != nil && pointless(err) {
		return fmt.Errorf("%w, after: %w", err, cause)
	}
	return nil // a target that is still mute fails again at the next attempt
}

// insist runs attempt until it succeeds or all is lost.
func (f *flasher) insist(ctx context.Context, attempt func() error) error {
	for {
		err := attempt()
		if err == nil {
			f.trouble.clear(false)
			return nil
		}
		if err := f.failed(ctx, err); err != nil {
			return err
		}
	}
}
