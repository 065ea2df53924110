package framing

import (
	"sync/atomic"
	"time"
)

// Defaults of Options.
const (
	DefaultIdleFlush   = 50 * time.Millisecond
	DefaultIdleDrop    = time.Second
	DefaultXoffTimeout = 5 * time.Second
)

// CRCMode says when a Conn puts a CRC suffix on what it writes. Suffixes that
// are received are verified in every mode.
type CRCMode uint8

// The modes.
const (
	CRCAuto CRCMode = iota // once the peer has sent a valid one
	CRCSend                // always
	CRCOff                 // never
)

// String returns "auto", "send" or "off".
func (m CRCMode) String() string {
	switch m {
	case CRCAuto:
		return "auto"
	case CRCSend:
		return "send"
	}
	return "off"
}

// Options configures a Conn. The zero value and nil are the defaults; durations
// below zero switch the rule they belong to off.
type Options struct {
	// MaxFrame limits received frames, in bytes without CRC suffix and line
	// end. Longer lines are discarded and counted. 0 = DefaultMaxFrame.
	MaxFrame int

	// MaxWrite limits written lines, CRC suffix included, line end not: 255
	// suits hosts built on mjson. Longer frames are refused with ErrTooLong and
	// nothing is written. 0 = no limit.
	MaxWrite int

	// CRC says when to send CRC suffixes.
	CRC CRCMode

	// RequireCRC drops received frames without a valid CRC suffix.
	RequireCRC bool

	// IdleFlush is how long the line must be silent before an unterminated but
	// complete object is taken as a frame. 0 = DefaultIdleFlush.
	IdleFlush time.Duration

	// IdleDrop is how long the line must be silent before an unterminated line
	// is discarded. 0 = DefaultIdleDrop.
	IdleDrop time.Duration

	// Pace writes in pieces with pauses, for peers with small buffers.
	Pace Pace

	// XonXoff obeys software flow control: XOFF (0x13) from the peer stops our
	// writes, XON (0x11) lets them go on. The two bytes are taken out of the
	// stream; they cannot occur in JSON. XOFF and XON are never sent.
	XonXoff bool

	// XoffTimeout is the longest an XOFF holds, so that a lost XON does not
	// block for ever. 0 = DefaultXoffTimeout.
	XoffTimeout time.Duration

	// Junk is given the lines that do not start with '{', such as boot messages
	// and logs, without line end. It runs on the reading goroutine and must
	// neither block nor keep line. nil = they are only counted.
	Junk func(line []byte)

	// Observer is told about everything that is not an ordinary frame. It runs
	// on the reading goroutine and must neither block nor keep the event's
	// slice. nil = none.
	Observer func(Event)

	// ReadBuffer is the size of the read buffer in bytes. 0 = 1024.
	ReadBuffer int
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return max(d, 0) // 0 = off from here on
}

// Conn is a framed connection over a port: JSON objects, one a line.
//
// ReadFrame and Split belong to one goroutine at a time, the reader.
// All other methods are safe for concurrent use. A Conn starts no goroutines.
// It owns its port: Close closes it.
type Conn struct {
	port     Port
	opt      Options
	peer     atomic.Bool // the peer has shown a valid CRC
	maxWrite atomic.Int64
	stat     counters

	closed atomic.Bool
	done   chan struct{} // closed by Close

	in  reader
	out writer
}

// NewConn returns a connection over p. o may be nil and is copied.
func NewConn(p Port, o *Options) *Conn {
	c := new(Conn)
	if o != nil {
		c.opt = *o
	}
	c.init(p)
	c.in.dec = NewDecoder(c.opt.MaxFrame)
	c.in.stats = &c.in.dec.stats
	return c
}

// init resolves the options and sets up everything but the decoder.
func (c *Conn) init(p Port) {
	if c.opt.MaxFrame <= 0 {
		c.opt.MaxFrame = DefaultMaxFrame
	}
	if c.opt.ReadBuffer <= 0 {
		c.opt.ReadBuffer = 1024
	}
	c.SetMaxWrite(c.opt.MaxWrite)
	c.opt.IdleFlush = orDefault(c.opt.IdleFlush, DefaultIdleFlush)
	c.opt.IdleDrop = orDefault(c.opt.IdleDrop, DefaultIdleDrop)
	c.opt.XoffTimeout = orDefault(c.opt.XoffTimeout, DefaultXoffTimeout)
	c.port, c.done = p, make(chan struct{})
	c.in.init(p, c.opt.ReadBuffer, c.done)
	c.out.init(p, c.opt.Pace, c.done)
	if c.opt.XonXoff {
		c.out.flow = newFlow(c.opt.XoffTimeout)
		c.in.flow = c.out.flow
	}
}

// Close closes the port. Reads, writes and waits in progress end with
// ErrClosed. The first call returns the port's error, further ones nil.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	close(c.done)
	return c.port.Close()
}

// PeerCRC reports whether the peer has shown a valid CRC suffix.
func (c *Conn) PeerCRC() bool { return c.peer.Load() }

// ResetPeer forgets that the peer has shown a CRC suffix: for a peer that was
// reset or replaced.
func (c *Conn) ResetPeer() { c.peer.Store(false) }

// needCRC reports whether objects that do not fill a whole line need a suffix.
func (c *Conn) needCRC() bool { return c.opt.RequireCRC || c.peer.Load() }
