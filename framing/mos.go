package framing

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of MosOptions.
const (
	DefaultMosToolFrame         = 64 << 10
	DefaultMosHandshakeInterval = 200 * time.Millisecond
	DefaultMosHandshakeTries    = 25
)

// Errors of MosConn.
var (
	// ErrNoHandshake: the device did not answer the handshake.
	ErrNoHandshake = errors.New("framing: no handshake from the device")
	// ErrDelimiter: a frame to be written holds three quotation marks in a row.
	ErrDelimiter = errors.New("framing: delimiter inside a frame")
)

// MosOptions configures a MosConn. The zero value and nil are the defaults. The
// fields that Options has too mean the same.
type MosOptions struct {
	// MaxFrame limits received frames. 0 = DefaultMaxFrame on the device side,
	// DefaultMosToolFrame on the other two.
	MaxFrame    int
	MaxWrite    int
	RequireCRC  bool
	IdleDrop    time.Duration
	Pace        Pace // Mos115200() is what the mos tool uses without flow control
	XonXoff     bool
	XoffTimeout time.Duration
	Junk        func(line []byte) // console text between frames
	Observer    func(Event)
	ReadBuffer  int

	// EightBit: the device side takes bytes above 0x7f instead of dropping its
	// input as stock devices do; the tool side sends text as it is instead of
	// as \u escapes.
	EightBit bool

	// EveryFrame: the tool side repeats the handshake before every frame, as
	// mos does at 115200 baud without flow control, instead of before the first.
	EveryFrame bool

	// HandshakeInterval is the time between two tries of the handshake.
	// 0 = DefaultMosHandshakeInterval.
	HandshakeInterval time.Duration

	// HandshakeTries bounds the tries. 0 = DefaultMosHandshakeTries.
	HandshakeTries int
}

type mosRole uint8

const (
	mosDevice mosRole = iota
	mosTool
	mosTCP
)

// MosConn is a connection in the framing between the mos tool and a Mongoose OS
// device: on serial lines NewMosDevice and NewMosTool, on TCP NewMosTCP for
// either side. It has the methods of Conn and the same rules for who may call
// them; the documentation of the package describes the framing.
//
// Frames end with their delimiter only: there is no idle flush.
type MosConn struct {
	c    Conn
	role mosRole
	dec  mosDecoder
	opt  MosOptions

	wg       sync.WaitGroup
	owed     chan byte     // device: what to answer; read by its own goroutine
	answered time.Time     // device: when an empty frame was answered last
	shaken   chan struct{} // tool: the device has answered; capacity 1
	ready    atomic.Bool   // tool: no handshake is needed
	quotes   atomic.Bool   // the peer has used three quotation marks
}

// NewMosDevice returns the device's side of a serial line on which mos is the
// master. It answers the handshake and empty frames by itself, from a goroutine
// that Close ends.
func NewMosDevice(p Port, o *MosOptions) *MosConn {
	m := newMos(p, o, mosDevice)
	m.dec.ascii = !m.opt.EightBit
	m.owed = make(chan byte, 8)
	m.wg.Go(m.answer)
	return m
}

// NewMosTool returns the tool's side of a serial line. WriteFrame does the
// handshake when one is needed, so ReadFrame must be running in another
// goroutine to see the answer.
func NewMosTool(p Port, o *MosOptions) *MosConn {
	m := newMos(p, o, mosTool)
	m.c.opt.CRC = CRCSend
	return m
}

// NewMosTCP returns either side of a TCP connection: quoted frames without
// handshake and without CRC.
func NewMosTCP(p Port, o *MosOptions) *MosConn {
	m := newMos(p, o, mosTCP)
	m.c.opt.CRC = CRCOff
	return m
}

func newMos(p Port, o *MosOptions, role mosRole) *MosConn {
	m := &MosConn{role: role, shaken: make(chan struct{}, 1)}
	if o != nil {
		m.opt = *o
	}
	if m.opt.MaxFrame <= 0 && role != mosDevice {
		m.opt.MaxFrame = DefaultMosToolFrame
	}
	if m.opt.HandshakeInterval <= 0 {
		m.opt.HandshakeInterval = DefaultMosHandshakeInterval
	}
	if m.opt.HandshakeTries <= 0 {
		m.opt.HandshakeTries = DefaultMosHandshakeTries
	}
	m.c.opt = Options{
		MaxFrame: m.opt.MaxFrame, MaxWrite: m.opt.MaxWrite, RequireCRC: m.opt.RequireCRC,
		IdleFlush: -1, IdleDrop: m.opt.IdleDrop, Pace: m.opt.Pace, XonXoff: m.opt.XonXoff,
		XoffTimeout: m.opt.XoffTimeout, Junk: m.opt.Junk, Observer: m.opt.Observer, ReadBuffer: m.opt.ReadBuffer,
	}
	m.c.init(p)
	m.c.in.stats = &m.dec.stats
	m.dec.max = m.c.opt.MaxFrame + mosExtra
	return m
}

// Close closes the port and waits for the answering goroutine.
func (m *MosConn) Close() error {
	err := m.c.Close()
	m.wg.Wait()
	return err
}

// Split is Conn.Split.
func (m *MosConn) Split(line []byte) (frame, rest []byte, err error) { return m.c.Split(line) }

// Stats returns the counters. Safe for concurrent use.
func (m *MosConn) Stats() Stats { return m.c.Stats() }

// PeerCRC reports whether the peer has shown a valid CRC suffix.
func (m *MosConn) PeerCRC() bool { return m.c.PeerCRC() }

// WriteFrame writes a frame in the form the peer takes. On the tool's side it
// first does the handshake, which takes up to HandshakeTries times
// HandshakeInterval and fails with ErrNoHandshake. It is safe for concurrent
// use. An empty frame writes a lone line feed, without a handshake. Other errors
// are those of Conn.WriteFrame, and ErrDelimiter.
func (m *MosConn) WriteFrame(frame []byte) error {
	switch {
	case bytes.IndexByte(frame, '\n') >= 0:
		return ErrNewline
	case bytes.Contains(frame, []byte(mosQuote)):
		return ErrDelimiter
	}
	if err := m.c.out.acquire(); err != nil {
		return err
	}
	defer m.c.out.release()
	if len(frame) == 0 {
		_, err := m.c.out.put([]byte{'\n'})
		return err
	}
	if err := m.build(frame); err != nil {
		return err
	}
	if m.role == mosTool && !m.ready.Load() {
		if err := m.handshake(); err != nil {
			m.c.out.failed.Add(1)
			return err
		}
	}
	m.ready.Store(!m.opt.EveryFrame)
	err := m.c.out.send()
	if err != nil {
		m.ready.Store(false)
	}
	return err
}

// build puts the frame with its delimiters into the write buffer.
func (m *MosConn) build(frame []byte) error {
	quote := m.role != mosDevice || m.quotes.Load()
	b := append(m.c.out.buf[:0], '\n')
	if quote {
		b = append(b, mosQuote...)
	}
	start := len(b)
	if m.role == mosTool && !m.opt.EightBit {
		b = AppendASCII(b, frame)
	} else {
		b = append(b, frame...)
	}
	if m.c.sendsCRC() {
		b = AppendCRC(b, b[start:])
	}
	if limit := int(m.c.maxWrite.Load()); limit > 0 && len(b)-start > limit {
		return ErrTooLong
	}
	if quote {
		b = append(b, mosQuote...)
	}
	m.c.out.buf = append(b, '\n')
	return nil
}
