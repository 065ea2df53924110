package stm32boot

import (
	"errors"
	"fmt"
)

// Conditions, for errors.Is. The errors that methods return say more: which
// command, which stage of it and which address.
var (
	// ErrNoSync: the target does not answer as a boot loader does.
	ErrNoSync = errors.New("stm32boot: no answer from the boot loader")
	// ErrNotConnected: the target left the boot loader, by Go or a reset.
	// [Client.Reconnect] brings it back.
	ErrNotConnected = errors.New("stm32boot: target is not in its boot loader")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("stm32boot: client is closed")
	// ErrNoReset: only a reset could help, and there is no reset line.
	ErrNoReset = errors.New("stm32boot: the target must be reset and no reset line is wired")
	// ErrReadProtected: readout protection is on; see [Client.ReadoutUnprotect].
	ErrReadProtected = errors.New("stm32boot: target is readout protected")
	// ErrWriteProtected: an erase that the target acknowledged has changed nothing;
	// see [Client.WriteUnprotect]. The error is a *VerifyError too.
	ErrWriteProtected = errors.New("stm32boot: target is write protected")
	// ErrAddress: an address or a length does not fit the chip or the command.
	ErrAddress = errors.New("stm32boot: bad address")
	// ErrUnsupported: the loader or the chip lacks the command.
	ErrUnsupported = errors.New("stm32boot: not supported by the target")
	// ErrUnknownChip: the product id is not in the table.
	ErrUnknownChip = errors.New("stm32boot: unknown chip")
	// ErrGeometry: a Chip that the caller described contradicts itself.
	ErrGeometry = errors.New("stm32boot: chip: not a possible flash")
	// ErrWrongChip: the target is not the chip that Config.Chip names, or no
	// longer the chip that it was.
	ErrWrongChip = errors.New("stm32boot: wrong chip")
	// ErrTimeout: an answer did not come in time. The error is a *TimeoutError.
	ErrTimeout = errors.New("stm32boot: timeout")
	// ErrReply: an answer is not what the protocol allows. The error is a
	// *ReplyError.
	ErrReply = errors.New("stm32boot: bad reply")
	// ErrVerify: flash does not hold what was written. The error is a
	// *VerifyError.
	ErrVerify = errors.New("stm32boot: verify failed")
)

// Stage is a part of a command: what is sent at once and then answered.
type Stage uint8

// Stages of commands.
const (
	StageCommand Stage = iota + 1 // the command byte
	StageAddress                  // the address, or the operation code of Special
	StageLength                   // a length
	StageData                     // data, in either direction
	StagePages                    // page or sector numbers
	StageEnd                      // the last ACK, when the target has done the work
)

var stageNames = [...]string{"?", "command", "address", "length", "data", "pages", "end"}

// String returns a short lower-case name.
func (s Stage) String() string {
	if int(s) >= len(stageNames) {
		s = 0
	}
	return stageNames[s]
}

// Place says where in a session something happened. Addr is 0 in commands
// without an address.
type Place struct {
	Command byte
	Stage   Stage
	Addr    uint32
}

// String returns a text such as "write 0x08000100: data stage".
func (p Place) String() string {
	s := CommandName(p.Command)
	if p.Addr != 0 {
		s += fmt.Sprintf(" 0x%08X", p.Addr)
	}
	return s + ": " + p.Stage.String() + " stage"
}

// NackError reports that the target refused a stage. It waits for a new
// command. What an erase or write did until then is not known.
type NackError struct {
	Place
}

// Error returns the place.
func (e *NackError) Error() string { return "stm32boot: " + e.String() + ": refused (NACK)" }

// Is reports whether target is ErrAddress and the address was refused.
func (e *NackError) Is(target error) bool {
	return target == ErrAddress && e.Stage == StageAddress
}

// TimeoutError reports that an answer, or the rest of it, did not come.
type TimeoutError struct {
	Place
	Got, Want int // bytes of the answer
}

// Error returns the place and how much came.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("stm32boot: %s: timeout after %d of %d bytes", e.Place, e.Got, e.Want)
}

// Is reports whether target is ErrTimeout.
func (e *TimeoutError) Is(target error) bool { return target == ErrTimeout }

// Timeout returns true.
func (e *TimeoutError) Timeout() bool { return true }

// ReplyError reports an answer that the protocol does not allow.
type ReplyError struct {
	Place
	Got  byte   // the byte at fault
	Text string // what is wrong
}

// Error returns the place and what is wrong.
func (e *ReplyError) Error() string {
	return fmt.Sprintf("stm32boot: %s: %s (0x%02X)", e.Place, e.Text, e.Got)
}

// Is reports whether target is ErrReply.
func (e *ReplyError) Is(target error) bool { return target == ErrReply }

// PortError is an error of the port. Unwrap gives the port's own error.
type PortError struct {
	Place
	Op  string // "read", "write", "rate", "reset pin", "boot0 pin"
	Err error
}

// Error returns the place, the operation and the port's error text.
func (e *PortError) Error() string {
	if e.Stage == 0 {
		return "stm32boot: " + e.Op + ": " + e.Err.Error()
	}
	return "stm32boot: " + e.String() + ": " + e.Op + ": " + e.Err.Error()
}

// Unwrap returns the port's error.
func (e *PortError) Unwrap() error { return e.Err }

// VerifyError reports the first byte that differs.
type VerifyError struct {
	Addr      uint32
	Want, Got byte
}

// Error returns address, expected and actual byte.
func (e *VerifyError) Error() string {
	return fmt.Sprintf("stm32boot: verify failed at 0x%08X: want 0x%02X, got 0x%02X", e.Addr, e.Want, e.Got)
}

// Is reports whether target is ErrVerify.
func (e *VerifyError) Is(target error) bool { return target == ErrVerify }

// protected adds ErrReadProtected to a refusal.
type protectedError struct{ nack *NackError }

func (e *protectedError) Error() string {
	return e.nack.Error() + ": target is readout protected"
}

func (e *protectedError) Unwrap() []error { return []error{e.nack, ErrReadProtected} }
