package stm32boot

import (
	"errors"
	"fmt"
)

// What is refused before anything is erased. The first five come inside an
// [*ImageError].
var (
	// ErrEmpty is for an image or a segment without bytes.
	ErrEmpty = errors.New("empty")
	// ErrMisaligned is for a segment that does not begin at a multiple of 4.
	ErrMisaligned = errors.New("address is not a multiple of 4")
	// ErrOverlap is for a segment that begins inside another.
	ErrOverlap = errors.New("overlaps the segment before it")
	// ErrOutside is for a segment that begins outside the flash.
	ErrOutside = errors.New("outside the flash")
	// ErrTooLarge is for a segment that goes on behind the end of the flash.
	ErrTooLarge = errors.New("larger than the flash")
	// ErrOptions is for options that contradict each other.
	ErrOptions = errors.New("stm32boot: these options do not go together")
)

// ImageError says what is wrong with an image. It wraps ErrEmpty, ErrMisaligned,
// ErrOverlap, ErrOutside or ErrTooLarge.
type ImageError struct {
	Err  error
	Addr uint32 // of the segment
	Size int    // of the segment in bytes, 0 for an image without segments
}

// Error returns text such as "stm32boot: image: 1024 bytes at 0x08000002: ...".
func (e *ImageError) Error() string {
	if e.Size == 0 && e.Addr == 0 {
		return "stm32boot: image: " + e.Err.Error()
	}
	return fmt.Sprintf("stm32boot: image: %d bytes at 0x%08X: %v", e.Size, e.Addr, e.Err)
}

// Unwrap returns Err.
func (e *ImageError) Unwrap() error { return e.Err }
