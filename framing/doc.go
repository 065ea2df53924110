// Package framing turns byte streams into JSON-RPC frames and back: one JSON
// object a line over a UART, a pty or TCP, with an optional CRC, and the serial
// and BLE framings of Mongoose OS.
//
// It knows bytes, not JSON: it finds where frames begin and end and whether
// they arrived whole. Package jsonrpc reads what is in them.
//
// # Reading and writing frames
//
// A [Conn] joins frames and a [Port], which is any byte stream with a read
// deadline:
//
//	c := framing.NewConn(port, nil)
//	defer c.Close()
//	for {
//		frame, err := c.ReadFrame() // valid until the next ReadFrame
//		if err != nil {
//			return err
//		}
//		handle(frame)
//	}
//
// and, from any goroutine, c.WriteFrame(frame). Neither allocates. Programs
// that have their own event loop push bytes into a [Decoder] instead, and use
// [CutCRC], [AppendCRC] and [Cut].
//
// # What is a frame
//
// A frame ends with a line feed; a carriage return before it is ignored, and so
// are blank lines. Lines that do not start with '{' are junk: boot messages, log
// output, line noise. They go to Options.Junk and are otherwise ignored.
//
// A line may hold several objects, because line feeds get lost. It is all or
// nothing: complete objects with white space between them, or the whole line is
// dropped. ReadFrame does not look for them, as that costs time on every good
// line: it returns the line, and a caller whose JSON parser finds text behind
// the first object calls [Conn.Split].
//
// A line without an end is taken as a frame after 50 ms of silence if it is
// complete objects, and dropped after one second. While nothing is pending a
// Conn sets no timer and no deadline. Lines longer than Options.MaxFrame are
// discarded up to their line feed. After any dirt and a line feed, the next
// frame is read.
//
// # CRC
//
// More than half of all single-bit errors turn a JSON-RPC frame into another
// valid one, so an unprotected UART corrupts silently. The remedy is the CRC
// suffix of Mongoose OS (rpc-uart): eight hexadecimal digits, the CRC-32 of the
// object, directly behind its last brace, optionally followed by a comma and
// metadata:
//
//	{"method":"Sys.GetInfo"}010a4ff9
//
// A suffix that is there is always checked, and the frame dropped if it does
// not match. By default ([CRCAuto]) a Conn sends suffixes once the peer has sent
// a valid one; two peers in that mode never start, so one side must use
// [CRCSend]. Once the peer has shown a suffix, objects that do not fill a whole
// line need theirs; whole lines without are still taken, unless
// Options.RequireCRC asks for one always.
//
// # Slow peers
//
// [Pace] writes in pieces with rests, for peers with small receive buffers.
// Options.XonXoff obeys XOFF and XON. Options.MaxWrite refuses frames the peer
// cannot hold. Otherwise each frame is exactly one Write.
//
// # Mongoose OS framings
//
// The mos tool talks to a device over a serial line ([NewMosDevice],
// [NewMosTool]) or TCP ([NewMosTCP]) with frames between delimiters, of which
// there are two, a line feed and three quotation marks:
//
//	\n"""{"id":1,"method":"RPC.List"}CRC"""\n
//
// Everything that is not between delimiters and does not start with '{' is
// console text. The tool opens with a handshake, """ 04 """ and two line feeds,
// repeated every 200 ms until the device answers with """ 04 """, and then sends
// """ once more. A device answers an empty frame with a line feed (here at
// most one in 20 ms), sends CRC suffixes once it has received a valid one and quotation marks once it has
// seen them, and drops its input when a byte above 0x7f comes in; the tool's side
// therefore writes other characters as \u escapes. Here input that was dropped
// counts as lost up to the next delimiter, so that the inside of a damaged frame
// is never taken for one. The device's side takes plain lines as well. Source:
// rpc-uart and the mos tool. On TCP there is no handshake and no CRC.
//
// BLE carries the length first, in a characteristic of its own ([BLEIn],
// [BLEOut]; source: rpc-gatts).
//
// # Concurrency
//
// One goroutine at a time calls ReadFrame and Split. WriteFrame, Stats,
// ResetPeer and Close may be called from any goroutine; Close ends all calls in
// progress. A Conn has no goroutines of its own; the device side of the mos
// framing has one, which answers handshakes, and its Close waits for it.
// Callbacks (Junk, Observer) run on the reading goroutine and must not block.
//
// # Errors
//
// ReadFrame fails only when the connection is over: [ErrClosed] after Close,
// else a [PortError] with the port's error inside. Everything else that can go
// wrong on a line is counted in [Stats] and told to Options.Observer.
// A connection that has failed is not repaired: open the port again and make
// a new one.
package framing
