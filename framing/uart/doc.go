// Package uart is a serial port with the manners of a network connection.
//
// It puts go.bug.st/serial behind the port interface of package framing: reads
// with deadlines, a Close that ends everything, errors that tell apart "nothing
// came", "we closed it" and "the cable is gone". A [Port] also has what a serial
// line has and a network connection has not: a character format that can be
// changed while the port is open, and the DTR and RTS lines.
//
// # Opening
//
// [Open] takes the path of any serial device: /dev/ttyUSB0, a link below
// /dev/serial/by-id, COM3, the slave of a pty. Ports are never listed or probed:
// looking for ports opens them, and opening a port can reset the board behind it.
// A nil [Config] is 115200 baud, 8 data bits, no parity, 1 stop bit. There is no
// flow control; no byte value is special.
//
// A port has one user. On Unix, Open takes an advisory lock (flock) on the
// device itself: there is no lock file to go stale, and other programs that lock
// the device in the same way, as pySerial does for exclusive=True, are kept out
// as well. Whoever comes second gets [ErrBusy]. The kernel's own exclusive mode
// is set too, but root passes through it, and programs without the lock are
// stopped by nothing else. Windows refuses the second open by itself.
//
// Opening a UART raises DTR and RTS on Linux and macOS, and closing it lowers
// DTR. With [Config.InitialDTR] and [Config.InitialRTS] the lines are set as
// early as the system allows, which is a few milliseconds after that pulse:
// where these lines drive a reset or boot pin, the wiring has to bear it. An
// Open that ends in ErrBusy raises them as well.
//
// Open ports early in programs with many files: the system call below cannot
// watch descriptors above 1023, and Open then fails with [ErrTooManyFiles]. A
// port uses four descriptors. Programs started while the port is open do not
// inherit the device, unless they start in the very moment of Open.
//
// # Reading and deadlines
//
// Read returns at least one byte or an error, never 0 and nil (unless it was
// given no room). Without a deadline it sleeps in the kernel until a byte comes:
// an idle port costs one thread and no time.
//
// [Port.SetReadDeadline] follows net.Conn: it takes a point in time, not a
// duration; the zero time takes it away; once it has passed, every Read fails at
// once, even if bytes are waiting, until a new deadline is set. The error
// satisfies errors.Is(err, os.ErrDeadlineExceeded) and its Timeout method
// reports true. It may be called at any time from any goroutine and holds from
// the next Read on. A Read in progress that has a deadline notices the new one
// within 50 ms; one that was started without a deadline does not notice.
//
// Bytes damaged on the line are delivered: with parity on, a byte with a parity
// error reads as 0, and so does a break.
//
// # Writing
//
// Write returns when the kernel has taken every byte, which is before the last
// one has left: [Port.Drain] waits for that. It writes all of the bytes or
// returns an error. Nothing limits its duration but Close. Bytes go out in
// pieces of at most 256, through one goroutine per port, so Close never waits
// behind a long Write and a Write never outlives Close.
//
// # Closing
//
// Close ends everything that is in progress: Read, Write and the others return
// [ErrClosed], and so does every later call. It can be called from any goroutine
// and any number of times; each call gives the same result. When it has returned
// nothing of the port runs, with the one exception below.
//
// Bytes that Write has passed to the kernel get up to a second to leave; Close
// waits for them, and wakes Read before that. A UART without flow control always
// sends. A USB device or a pty whose other side has stopped reading may take
// nothing more: after the second Close drops what is left, closes the port and
// returns [ErrStuckWrite]. The same happens when a second is too short, as for
// 2000 bytes at 9600 baud: Drain first where that matters.
//
// A call that is inside the kernel cannot be called back. If the device does not
// even take the piece that is being written, the port's output goroutine stays
// there, and Read is woken only when the second is over. That goroutine ends when
// the device takes the bytes or goes away; until then [Port.StuckWrites] counts
// it. The Write itself has returned, and the goroutine holds nothing of the
// caller's.
//
// # Unplugging
//
// When a USB adapter is pulled or the master of a pty closes, Read and Write
// return [ErrUnplugged] and go on doing so. The port is still to be closed. Try
// to open it again with growing pauses, by a path that stays the same
// (/dev/serial/by-id on Linux): the number in ttyUSB0 may change.
//
// # Changing the mode
//
// [Port.SetMode] changes baud rate and character format on the open port: it
// waits until everything written has left, applies the mode, and throws away
// what was received before. This is the way between an application at 8N1 and an
// STM32 ROM loader at 8E1 ([Mode8N1], [Mode8E1]).
//
// # Pins
//
// [Port.DTR] and [Port.RTS] give the two output lines as pins with a Set method.
// true asserts the line. The lines are active low at the adapter's logic-level
// pins: asserted is 0 V there. A device without these lines answers
// [ErrNotSupported].
//
// # Errors
//
// All errors of a port are of type *fs.PathError, which names the operation and
// the path.
// The sentinels of this package, fs.ErrNotExist, fs.ErrPermission, the system's
// error number and the library's *serial.PortError are found by errors.Is and
// errors.As where they apply. A device that does not exist is fs.ErrNotExist.
//
// # Concurrency
//
// All methods are safe for concurrent use. One Read runs at a time, and one of
// Write, Drain, SetMode and Break: others wait their turn. Pins and resets do
// not queue behind a Write.
//
// # Platforms
//
// Linux, macOS, Windows, FreeBSD and OpenBSD, without cgo. For js/wasm the
// package compiles and Open fails. Behaviour is tested on Linux; on Windows
// there is no advisory lock, and none is needed.
//
// A pty stands in for a serial line in tests, with these limits: the baud rate
// is stored but does not pace anything; parity and the number of data bits are
// dropped by the kernel without an error; DTR and RTS do not exist; Break does
// nothing. [Config.InitialDTR] and [Config.InitialRTS] are ignored there.
package uart
