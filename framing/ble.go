package framing

import "errors"

// Errors of the BLE length framing.
var (
	// ErrBLELength: a control write is not a length of four bytes.
	ErrBLELength = errors.New("framing: BLE length is not four bytes")
	// ErrBLEExcess: more data than announced, or none was announced ("invalid
	// offset" in GATT terms).
	ErrBLEExcess = errors.New("framing: BLE data exceeds the announced length")
	// ErrBLEBusy: the previous frame has not been read yet.
	ErrBLEBusy = errors.New("framing: BLE frame still waiting")
)

// minMTU is the ATT MTU that every BLE connection has.
const minMTU = 23

// BLEIn assembles the frames a central writes to the Mongoose OS RPC service
// (rpc-gatts): the length to the tx_ctl characteristic, then the bytes to data
// in any pieces. The zero value takes frames of up to DefaultMaxFrame bytes. It
// does no I/O and is not safe for concurrent use.
type BLEIn struct {
	// MaxFrame limits a frame, in bytes. 0 = DefaultMaxFrame.
	MaxFrame int

	buf  []byte
	want int // announced length, 0 = none
}

// Control takes a write to tx_ctl: the length of the frame to come, four bytes,
// big-endian. It discards an unfinished frame. A length of 0 does only that.
// ErrTooLong ("insufficient resources" in GATT terms) and ErrBLELength leave no
// frame announced.
func (b *BLEIn) Control(p []byte) error {
	b.Reset()
	if len(p) != 4 {
		return ErrBLELength
	}
	limit := b.MaxFrame
	if limit <= 0 {
		limit = DefaultMaxFrame
	}
	n := uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])
	if uint64(n) > uint64(limit) {
		return ErrTooLong
	}
	b.want = int(n)
	if cap(b.buf) < b.want {
		b.buf = make([]byte, 0, b.want)
	}
	return nil
}

// Data takes a write to data and returns the frame when its last byte has come,
// else nil. The frame is valid until the next Control. With ErrBLEExcess the
// unfinished frame is discarded and a new Control is needed.
func (b *BLEIn) Data(p []byte) (frame []byte, err error) {
	switch {
	case len(p) == 0:
		return nil, nil
	case len(p) > b.want-len(b.buf):
		b.Reset()
		return nil, ErrBLEExcess
	}
	b.buf = append(b.buf, p...)
	if len(b.buf) < b.want {
		return nil, nil
	}
	frame = b.buf[:b.want:b.want]
	b.Reset()
	return frame, nil
}

// Reset discards an unfinished frame, for example when the central disconnects.
func (b *BLEIn) Reset() { b.buf, b.want = b.buf[:0], 0 }

// Missing returns how many bytes of the announced frame have not come yet.
func (b *BLEIn) Missing() int { return b.want - len(b.buf) }

// BLEOut hands out frames to a central that reads the Mongoose OS RPC service
// (rpc-gatts): the length from the rx_ctl characteristic, then the bytes from
// data. One frame waits at a time. The zero value is empty. It does no I/O and
// is not safe for concurrent use.
type BLEOut struct {
	buf []byte // the frame that waits
	pos int    // bytes read
}

// Put makes frame the one that waits; notify the central afterwards with the
// bytes Control returns. The frame is copied. ErrBLEBusy means that the
// previous frame is not read to its end; an empty frame is refused with
// ErrBLELength.
func (b *BLEOut) Put(frame []byte) error {
	switch {
	case len(b.buf) > 0:
		return ErrBLEBusy
	case len(frame) == 0 || uint64(len(frame)) > 1<<32-1:
		return ErrBLELength
	}
	b.buf, b.pos = append(b.buf, frame...), 0
	return nil
}

// Control is a read of rx_ctl: the length of the waiting frame, four bytes,
// big-endian, 0 when there is none. The next Data starts the frame again from
// its first byte.
func (b *BLEOut) Control() [4]byte {
	b.pos = 0
	n := uint32(len(b.buf))
	return [4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// Data is a read of data on a connection with the given ATT MTU (23 if less):
// the next MTU-2 bytes of the frame at most, empty when none waits. After the
// last byte the frame is gone and Put takes the next one. The slice is valid
// until the next Put.
func (b *BLEOut) Data(mtu int) []byte {
	n := min(len(b.buf)-b.pos, max(mtu, minMTU)-2)
	p := b.buf[b.pos : b.pos+n : b.pos+n]
	if b.pos += n; b.pos == len(b.buf) {
		b.Reset()
	}
	return p
}

// Waiting returns the length of the waiting frame in bytes, 0 when there is
// none. Unlike Control it does not start the frame again.
func (b *BLEOut) Waiting() int { return len(b.buf) }

// Reset drops the waiting frame, for example when the central disconnects.
func (b *BLEOut) Reset() { b.buf, b.pos = b.buf[:0], 0 }
