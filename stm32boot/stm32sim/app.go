package stm32sim

import (
	"context"
	"sync"
	"time"
)

// application runs what the options say while the chip is not in its ROM.
func (r *run) application() error {
	t := r.t
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	t.mu.Lock()
	entry := t.entry
	t.entry = 0
	if t.life == r.life {
		t.stopApp = cancel
	} else {
		cancel()
	}
	t.mu.Unlock()
	r.lock(false)
	t.observe(Event{Kind: EventApp, Addr: entry})
	if t.o.Application != nil {
		port := &appPort{run: r, ctx: ctx, cancel: cancel, kept: r.takeKept()}
		t.o.Application(ctx, t, port)
		if err := port.failure(); err != nil {
			return err
		}
	}
	return r.discard(time.Time{})
}

// appPort is the port of an application: that of Run, until the next reset.
type appPort struct {
	run    *run
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	deadline time.Time
	err      error  // of the port of Run
	kept     []byte // to be read first
}

// Read reads what arrives.
func (p *appPort) Read(b []byte) (int, error) {
	for {
		if p.ctx.Err() != nil {
			return 0, ErrReset
		}
		if n := p.readKept(b); n > 0 {
			return n, nil
		}
		n, err := p.run.port.Read(b)
		switch {
		case n > 0 && p.ctx.Err() != nil:
			p.run.keep(b[:n])
			return 0, ErrReset
		case n > 0:
			return n, nil
		case err == nil:
			return 0, nil
		case !isTimeout(err):
			return 0, p.fail(err)
		case p.ctx.Err() != nil:
			return 0, ErrReset
		case p.late():
			return 0, err
		}
		if err := p.SetReadDeadline(p.until()); err != nil {
			return 0, err
		}
	}
}

func (p *appPort) readKept(b []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := copy(b, p.kept)
	p.kept = p.kept[n:]
	return n
}

// Write sends b.
func (p *appPort) Write(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, ErrReset
	}
	n, err := p.run.port.Write(b)
	switch {
	case err == nil:
		return n, nil
	case p.ctx.Err() != nil:
		return n, ErrReset
	}
	return n, p.fail(err)
}

// SetReadDeadline limits reads in time, as that of the port does.
func (p *appPort) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	p.deadline = t
	p.mu.Unlock()
	if err := p.run.port.SetReadDeadline(t); err != nil {
		return p.fail(err)
	}
	if p.ctx.Err() != nil { // interrupt came between
		p.run.interrupt()
	}
	return nil
}

// Close ends the port for the application. Calls in progress return ErrReset.
func (p *appPort) Close() error {
	p.cancel()
	p.run.interrupt()
	return nil
}

func (p *appPort) until() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deadline
}

// late reports whether the application's deadline has passed.
func (p *appPort) late() bool {
	d := p.until()
	return !d.IsZero() && !time.Now().Before(d)
}

// fail remembers the first error of the port and returns err.
func (p *appPort) fail(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	return err
}

func (p *appPort) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
