package stm32sim

import (
	"encoding/binary"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// onChecksumLength is the length of Get Checksum, in the form of stm32flash: in
// bytes, and without a polynomial.
func (r *run) onChecksumLength(p []byte) error {
	t := r.t
	n := binary.BigEndian.Uint32(p)
	if xor(p) != 0 || n == 0 || n%4 != 0 || n > maxChecksum {
		return r.refuse()
	}
	t.mu.Lock()
	data, ok := t.mem.peek(nil, t.rom.addr, int(n))
	t.mu.Unlock()
	if !ok {
		return r.refuse()
	}
	sum := binary.BigEndian.AppendUint32(nil, checksum(data))
	sum = append(append([]byte{stm32boot.ACK}, sum...), xor(sum))
	return r.take(step{stage: StageData, then: func() error {
		return r.take(step{last: true, answer: sum})
	}})
}

// maxChecksum is more than any chip has flash.
const maxChecksum = 8 << 20

// checksum returns what the CRC unit of the chips makes of little-endian words:
// polynomial 04C11DB7, preset to ones, nothing reflected or inverted.
func checksum(p []byte) uint32 {
	crc := ^uint32(0)
	for ; len(p) >= 4; p = p[4:] {
		crc ^= binary.LittleEndian.Uint32(p)
		for range 32 {
			top := crc >> 31
			crc = crc<<1 ^ top*0x04C11DB7
		}
	}
	return crc
}
