package uart

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

const (
	// pieceSize is the most the device is given in one write.
	pieceSize = 256
	// MaxBreak is the longest break Break sends: Close may have to wait for it.
	MaxBreak = 500 * time.Millisecond
)

// output is the writing half of a Port: one goroutine makes every call on the
// device that can wait for the line. Callers hand it one request at a time and
// stop waiting when the port closes; a request that is stuck in the device then
// holds nothing but this goroutine and its own copy of the bytes.
type output struct {
	turn    chan struct{} // holds a token while a caller has the goroutine to itself
	request chan request
	answer  chan answer   //  buffered: the goroutine never waits for a caller that left
	ended   chan struct{} // closed when the goroutine ends

	piece [pieceSize]byte // the bytes of a write; the caller's until request is sent
}

// A request is one call for the output goroutine.
type request struct {
	op       op
	size     int           // doWrite: number of bytes in piece
	mode     Mode          // doMode
	duration time.Duration // doBreak
}

// op is the kind of a request.
type op uint8

const (
	doWrite op = iota + 1
	doDrain
	doMode
	doBreak
)

// An answer is the result of a request.
type answer struct {
	size int // doWrite: number of bytes the device took
	err  error
}

func (o *output) init() {
	o.turn = make(chan struct{}, 1)
	o.request = make(chan request)
	o.answer = make(chan answer, 1)
	o.ended = make(chan struct{})
}

// Write sends all of b, or returns an error and the number of bytes the device
// has surely taken. It returns before the last byte has left; see Drain. b is
// not kept. Errors: [ErrClosed], [ErrUnplugged], io.ErrShortWrite.
func (p *Port) Write(b []byte) (int, error) {
	if err := p.takeTurn("write"); err != nil {
		return 0, err
	}
	defer p.endTurn()
	sent := 0
	for sent < len(b) {
		size := copy(p.out.piece[:], b[sent:])
		a, ok := p.do(request{op: doWrite, size: size})
		if !ok {
			return sent, p.closed("write")
		}
		sent += a.size
		if a.err != nil {
			return sent, p.fail("write", a.err)
		}
	}
	return sent, nil
}

// Drain waits until everything written has left the port.
func (p *Port) Drain() error { return p.output("drain", request{op: doDrain}) }

// SetMode changes baud rate and character format: it waits until everything
// written has left, sets the mode, and throws away what has been received and
// not yet read. Zero fields take their defaults, not their present values. After
// an error of the device the line may have any mode: set one that works.
// Errors: [ErrMode], [ErrClosed], [ErrUnplugged].
func (p *Port) SetMode(m Mode) error {
	m = m.withDefaults()
	if err := m.check(); err != nil {
		return p.fail("set mode", err)
	}
	return p.output("set mode", request{op: doMode, mode: m})
}

// Break holds the line in the break state for d, which is more than 0 and at
// most [MaxBreak]. It first waits until everything written has left.
func (p *Port) Break(d time.Duration) error {
	if d <= 0 || d > MaxBreak {
		return p.fail("break", fmt.Errorf("uart: break of %v, want up to %v", d, MaxBreak))
	}
	return p.output("break", request{op: doBreak, duration: d})
}

// output has the output goroutine run a single request.
func (p *Port) output(name string, r request) error {
	if err := p.takeTurn(name); err != nil {
		return err
	}
	defer p.endTurn()
	a, ok := p.do(r)
	if !ok {
		return p.closed(name)
	}
	return p.fail(name, a.err)
}

// takeTurn waits until the output goroutine is this caller's alone.
func (p *Port) takeTurn(name string) error {
	select {
	case <-p.done:
		return p.closed(name)
	default:
	}
	select {
	case <-p.done:
		return p.closed(name)
	case p.out.turn <- struct{}{}:
		return nil
	}
}

// endTurn lets the next caller in. On a closed port there is no next one: the
// piece may still be in use.
func (p *Port) endTurn() {
	if !p.isClosed() {
		<-p.out.turn
	}
}

// do hands r to the output goroutine and waits for the answer, or for the port
// to close: then it returns false.
func (p *Port) do(r request) (answer, bool) {
	select {
	case <-p.done:
		return answer{}, false
	case p.out.request <- r:
	}
	select {
	case <-p.done:
		return answer{}, false
	case a := <-p.out.answer:
		return a, true
	}
}

// serveOutput runs the output goroutine until the port closes.
func (p *Port) serveOutput() {
	defer func() {
		p.mu.Lock()
		p.stuck = false
		close(p.out.ended)
		p.mu.Unlock()
	}()
	for {
		select {
		case <-p.done:
			return
		case r := <-p.out.request:
			p.out.answer <- p.serve(r)
		}
	}
}

// serve runs one request. Between two calls on the device it looks whether the
// port has been closed: after a stuck call the device may be gone.
func (p *Port) serve(r request) answer {
	if r.op == doWrite {
		n, err := p.writePiece(p.out.piece[:r.size])
		return answer{size: n, err: err}
	}
	if p.isClosed() {
		return answer{err: ErrClosed}
	}
	err := again(p.dev.Drain)
	switch {
	case err != nil:
	case r.op == doMode:
		err = again(func() error { return p.applyMode(r.mode) })
	case r.op == doBreak && !p.isClosed():
		err = p.dev.Break(r.duration)
	}
	return answer{err: err}
}

// again repeats a call that a signal has interrupted, such as one of the Go
// runtime. Linux does not repeat a wait for output by itself.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// writePiece writes until the device has taken all of b. A device that takes
// part of it is asked again, which either goes on or tells what is wrong.
func (p *Port) writePiece(b []byte) (sent int, err error) {
	for sent < len(b) {
		if p.isClosed() {
			return sent, ErrClosed
		}
		n, err := p.dev.Write(b[sent:])
		if n < 0 || n > len(b)-sent || n == 0 && err == nil {
			return sent, io.ErrShortWrite
		}
		sent += n
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return sent, err
		}
	}
	return sent, nil
}

// applyMode sets the mode and drops what came in before. The lock keeps the
// pins out, which share settings with the mode on some systems.
func (p *Port) applyMode(m Mode) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() {
		return ErrClosed
	}
	if err := setMode(p.dev, m); err != nil {
		return err
	}
	p.mode = m
	return p.dev.ResetInputBuffer()
}
