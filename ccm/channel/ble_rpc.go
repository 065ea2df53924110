package channel

import (
	"context"
	"errors"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/framing"
)

// UUIDs of the BLE services of Mongoose OS (rpc-gatts, bt-service-config)
// and their characteristics.
const (
	BLERPCService   = "5f6d4f53-5f52-5043-5f53-56435f49445f" // "_mOS_RPC_SVC_ID_"
	BLERPCData      = "5f6d4f53-5f52-5043-5f64-6174615f5f5f" // read, write
	BLERPCTxControl = "5f6d4f53-5f52-5043-5f74-785f63746c5f" // write
	BLERPCRxControl = "5f6d4f53-5f52-5043-5f72-785f63746c5f" // read, notify, indicate

	BLEConfigService = "5f6d4f53-5f43-4647-5f53-56435f49445f"
	BLEConfigKey     = "306d4f53-5f43-4647-5f6b-65795f5f5f30" // write
	BLEConfigValue   = "316d4f53-5f43-4647-5f76-616c75655f31" // read, write
	BLEConfigSave    = "326d4f53-5f43-4647-5f73-6176655f5f32" // write
)

// ATTError is an error code of the attribute protocol, to be given to a central
// (Bluetooth Core Specification, volume 3, part F, 3.4.1.1).
type ATTError byte

// The codes that the services give.
const (
	ATTNotPermitted          ATTError = 0x03 // Write Not Permitted: the central may not do that
	ATTInvalidOffset         ATTError = 0x07 // more bytes than were announced
	ATTInvalidLength         ATTError = 0x0d // a value of the wrong length
	ATTUnlikely              ATTError = 0x0e // it has failed
	ATTInsufficientResources ATTError = 0x11 // too long, or too much at a time
)

var attText = map[ATTError]string{
	ATTNotPermitted: "not permitted", ATTInvalidOffset: "invalid offset", ATTInvalidLength: "invalid length",
	ATTUnlikely: "failed", ATTInsufficientResources: "insufficient resources",
}

// Error returns what the code means.
func (e ATTError) Error() string { return "channel: BLE: " + attText[e] }

// BLERPC is the RPC service of BLE for one connected central, without the radio:
// what is written to its characteristics, and what is read from them. All methods
// are safe for concurrent use and return at once, but Close.
//
// A frame is announced with its length, written to tx_ctl, and then comes in
// pieces, written to data. A reply is announced with a notification of rx_ctl,
// and read in pieces from data. One frame waits at a time; other replies wait
// until it is read. Source: Mongoose OS, rpc-gatts.
type BLERPC struct {
	notify func(length [4]byte)
	cancel func()
	ctx    context.Context // of the handlers: an object, not a call, owns them
	free   chan struct{}   // the right to put a reply into out

	mu     sync.Mutex
	in     framing.BLEIn
	out    framing.BLEOut
	stream stream
	closed bool
}

// NewBLERPC returns the service for a central that has just connected, from the
// address remote. notify, if set, sends a notification of rx_ctl; it must not call
// the service. The role is access.User. ctx is that of the handlers. Close must be
// called when the central has gone.
func NewBLERPC(ctx context.Context, s *Service, remote string, notify func(length [4]byte)) *BLERPC {
	b := &BLERPC{notify: notify, free: make(chan struct{}, 1)}
	b.ctx, b.cancel = context.WithCancel(ctx)
	b.in.MaxFrame = s.cfg.MaxFrame
	b.free <- struct{}{}
	b.stream.init(s, bleOrigin(remote), nil, b.put)
	b.stream.start(b.ctx)
	return b
}

func bleOrigin(remote string) *access.Origin {
	return &access.Origin{Role: access.User, Channel: access.GATTS, Remote: remote}
}

// WriteTxControl announces a frame of the given length, and discards one that is
// not complete. The error is an ATTError.
func (b *BLERPC) WriteTxControl(p []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return attError(b.in.Control(p))
}

// WriteData takes bytes of the announced frame, and serves it when it is
// complete. The error is an ATTError.
func (b *BLERPC) WriteData(p []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	frame, err := b.in.Data(p)
	if err != nil || frame == nil || b.closed {
		return attError(err)
	}
	if len(b.stream.refused) == cap(b.stream.refused) {
		return ATTInsufficientResources // the central does not read the answers
	}
	b.stream.take(b.ctx, frame)
	return nil
}

// ReadRxControl returns the length of the reply that waits, 0 if there is none.
// The next ReadData begins with its first byte.
func (b *BLERPC) ReadRxControl() [4]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Control()
}

// ReadData returns the next piece of the reply that waits, of at most mtu-2
// bytes.
func (b *BLERPC) ReadData(mtu int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	waited := b.out.Waiting() > 0
	p := append([]byte(nil), b.out.Data(mtu)...)
	if waited && b.out.Waiting() == 0 {
		b.free <- struct{}{}
	}
	return p
}

// put makes a reply the one that waits, when those before it have been read.
func (b *BLERPC) put(reply []byte) error {
	select {
	case <-b.free:
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	b.mu.Lock()
	err := b.out.Put(reply)
	length := b.out.Control()
	b.mu.Unlock()
	switch {
	case err != nil:
		b.free <- struct{}{}
	case b.notify != nil:
		b.notify(length)
	}
	return err
}

// Close ends the service: the handlers at work are cancelled and waited for, and
// what was not read is gone.
func (b *BLERPC) Close() {
	b.cancel()
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.in.Reset()
	b.mu.Unlock()
	if first {
		b.stream.end()
	}
}

// attError returns the code of an error of the framing.
func attError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, framing.ErrTooLong):
		return ATTInsufficientResources
	case errors.Is(err, framing.ErrBLEExcess):
		return ATTInvalidOffset
	case errors.Is(err, framing.ErrBLELength):
		return ATTInvalidLength
	}
	return ATTUnlikely
}
