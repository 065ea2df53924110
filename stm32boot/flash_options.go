package stm32boot

import "fmt"

// EraseMode says how the pages that are written are erased.
type EraseMode uint8

// The modes.
const (
	EraseAuto  EraseMode = iota // the pages the image touches; all at once if that are all of the chip and is quicker
	ErasePages                  // the pages the image touches, by their numbers
	EraseAll                    // the whole flash, whatever the image touches
)

// String returns "auto", "pages" or "all".
func (m EraseMode) String() string {
	switch m {
	case ErasePages:
		return "pages"
	case EraseAll:
		return "all"
	}
	return "auto"
}

// VerifyMode says how what was written is checked, after all of it was written.
type VerifyMode uint8

// The modes.
const (
	VerifyRead     VerifyMode = iota // by reading it back
	VerifyChecksum                   // by Get Checksum; by reading back where the target lacks it or it differs
	VerifyNone                       // not at all, except where recovery needs it
)

// String returns "read", "checksum" or "none".
func (m VerifyMode) String() string {
	switch m {
	case VerifyChecksum:
		return "checksum"
	case VerifyNone:
		return "none"
	}
	return "read"
}

// FlashOptions says how an image is put into the flash. The zero value erases
// and writes the pages that the image touches, and reads them back.
type FlashOptions struct {
	// ProductID is the only chip to accept, 0 for any.
	ProductID uint16

	// Erase and Verify choose how.
	Erase  EraseMode
	Verify VerifyMode

	// ChangedOnly leaves the pages alone that hold what the image wants. Which
	// do is known from the Journal if it says what the last flashing left
	// behind, and from reading them otherwise. If any page is written then so
	// is the first.
	ChangedOnly bool

	// Preserve reads what else is in the pages that are to be erased, and writes
	// it back. Otherwise it is lost.
	Preserve bool

	// Journal lets a flashing that was interrupted go on, and ChangedOnly know
	// the pages without reading them. nil: neither.
	Journal Journal

	// UID tells chips of one kind apart: the chip's unique id, or any name, of
	// at most 255 bytes. A journal of another UID counts for nothing.
	UID string

	// DryRun stops before the first erase, when the plan is complete. The
	// journal is read, not written.
	DryRun bool

	// Progress, if set, is called after each block, and four times a second while
	// the target erases, on the goroutine of the caller. It must not use the
	// client.
	Progress func(Progress)
}

// check refuses options that contradict each other.
func (o *FlashOptions) check() error {
	why := ""
	switch {
	case o.Erase > EraseAll:
		why = "no such Erase"
	case o.Verify > VerifyNone:
		why = "no such Verify"
	case len(o.UID) > 255:
		why = "UID is longer than 255 bytes"
	case o.Erase == EraseAll && o.ChangedOnly:
		why = "EraseAll and ChangedOnly"
	case o.Erase == EraseAll && o.Preserve:
		why = "EraseAll and Preserve"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrOptions, why)
}
