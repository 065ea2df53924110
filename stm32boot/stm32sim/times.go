package stm32sim

import (
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// Times says how long the target takes. The zero value is a target that takes no
// time at all. A block takes Word for each flash word that it touches, no matter
// what the word is to hold.
type Times struct {
	Boot   time.Duration // from the end of a reset until the ROM listens; what arrives before is lost
	Word   time.Duration // to program a flash word
	Erase  []EraseTime   // to erase a page, ascending by Size
	Bank   time.Duration // to erase a whole bank at once; 0 = as long as its pages one by one
	Option time.Duration // to change protection or option bytes
}

// EraseTime is how long pages of Size bytes and more take to erase, up to the
// Size of the next entry. The first entry also counts for smaller pages.
type EraseTime struct {
	Size uint32
	Time time.Duration
}

// RealTimes returns the typical times of a chip:
//
//	         a word of        page or sector                        all
//	F0 F1 F3 W  2 B  52.5 us  30 ms                                 40 ms
//	F2 F4 F7    4 B  16 us    0.25, 0.55, 1 s (16, 64, 128 KiB) ... the sum
//	L0 L1       4 B  3.2 ms   3.2 ms                                does not exist
//	H7         32 B  100 us   1.1 s (128 KiB)                       the sum
//	others   8, 16 B 82 us    22 ms                                 22 ms a bank
//
// The figures of F1, F4, L0, L1, L4, G0 and H7 are those of the data sheets; the
// other families are taken to be like their relatives, as are pages of 8 KiB of
// H7. The ROM listens 10 ms after a reset, that of the newest families after
// 100 ms.
func RealTimes(c *stm32boot.Chip) Times {
	const ms, us = time.Millisecond, time.Microsecond
	switch c.Family {
	case "F0", "F1", "F3", "W":
		return Times{Boot: 10 * ms, Word: 52500 * time.Nanosecond, Erase: []EraseTime{{0, 30 * ms}}, Bank: 40 * ms, Option: 30 * ms}
	case "F2", "F4", "F7":
		return Times{Boot: 10 * ms, Word: 16 * us, Option: 250 * ms, Erase: []EraseTime{
			{0, 250 * ms}, {64 << 10, 550 * ms}, {128 << 10, time.Second}, {256 << 10, 2 * time.Second},
		}}
	case "L0", "L1":
		return Times{Boot: 10 * ms, Word: 3200 * us, Erase: []EraseTime{{0, 3200 * us}}, Option: 3200 * us}
	case "H7":
		return Times{Boot: 100 * ms, Word: 100 * us, Erase: []EraseTime{{0, 22 * ms}, {128 << 10, 1100 * ms}}, Option: 100 * ms}
	case "H5", "U3", "U5":
		return Times{Boot: 100 * ms, Word: 82 * us, Erase: []EraseTime{{0, 22 * ms}}, Bank: 22 * ms, Option: 22 * ms}
	}
	return Times{Boot: 10 * ms, Word: 82 * us, Erase: []EraseTime{{0, 22 * ms}}, Bank: 22 * ms, Option: 22 * ms}
}

// Scale returns the times, each multiplied by k.
func (t Times) Scale(k float64) Times {
	times := func(d time.Duration) time.Duration { return time.Duration(float64(d) * k) }
	s := Times{Boot: times(t.Boot), Word: times(t.Word), Bank: times(t.Bank), Option: times(t.Option)}
	for _, e := range t.Erase {
		s.Erase = append(s.Erase, EraseTime{e.Size, times(e.Time)})
	}
	return s
}

// page returns how long a page of size bytes takes to erase.
func (t *Times) page(size int) time.Duration {
	var d time.Duration
	for i, e := range t.Erase {
		if i > 0 && int(e.Size) > size {
			break
		}
		d = e.Time
	}
	return d
}
