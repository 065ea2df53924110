package stm32sim

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// errChanged ends what the run does when the chip is reset, loses its power or
// goes on with something else.
var errChanged = errors.New("stm32sim: changed")

// errTimeout is the error of a port of this package whose deadline has passed.
var errTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string   { return "stm32sim: timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// run is one Run: the goroutine that is the chip while it has a port.
type run struct {
	t     *Target
	ctx   context.Context
	port  stm32boot.Port
	write interface{ SetWriteDeadline(time.Time) error } // nil if the port has no such thing
	wake  chan struct{}                                  // a token means: look at the life
	timer *time.Timer

	life    uint64    // of the target when the goroutine last looked
	in      []byte    // received, not yet looked at
	kept    []byte    // received by a Read that had to notice a reset, perhaps after it
	muted   bool      // what is sent gets lost
	until   time.Time // when the port is idle again, with Options.Baud
	sending bool      // the direction of the last byte
	spoken  bool      // there was a first byte
	buf     [512]byte
	out     [1 + stm32boot.MaxBlock]byte
}

// Run is the chip: it serves a port until ctx ends, then it returns nil. When the
// port fails or ends (io.EOF) it returns the port's error; the target stays as it
// is, in the middle of a command too, so that another Run on another port goes on
// there. (An application starts anew.) Only one Run can run at a time; others
// return ErrRunning. Run does not close the port.
//
// The port must return errors with Timeout() true when a deadline has passed, and
// must accept SetReadDeadline while a Read is going on. If it also has
// SetWriteDeadline a reset cuts off what is being sent.
func (t *Target) Run(ctx context.Context, port stm32boot.Port) error {
	r := &run{t: t, ctx: ctx, port: port, wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	r.timer.Stop()
	r.write, _ = port.(interface{ SetWriteDeadline(time.Time) error })
	if !t.attach(r) {
		return ErrRunning
	}
	defer t.detach()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(interrupted); r.interrupt() })
	defer func() {
		if !stop() {
			<-interrupted
		}
		_ = r.rearm()
	}()
	for {
		err := r.live()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != errChanged:
			return err
		}
	}
}

func (t *Target) attach(r *run) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.run != nil {
		return false
	}
	t.run = r
	return true
}

func (t *Target) detach() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.run = nil
}

// live does what the chip does now, until it does something else.
func (r *run) live() error {
	if err := r.rearm(); err != nil {
		return err
	}
	t := r.t
	t.mu.Lock()
	r.life = t.life
	mode, powered, held, restore := t.mode, t.powered, t.held, t.restore
	t.mu.Unlock()
	switch {
	case !powered:
		t.observe(Event{Kind: EventPowerOff})
		return r.wait(restore)
	case held:
		return r.discard(time.Time{})
	case mode == modeBoot:
		return r.boot()
	case mode == modeROM:
		return r.serve()
	case mode == modeApp:
		return r.application()
	}
	return r.discard(time.Time{})
}

// interrupt makes the goroutine look at the life of the target.
func (r *run) interrupt() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
	past := time.Unix(1, 0)
	_ = r.port.SetReadDeadline(past)
	if r.write != nil {
		_ = r.write.SetWriteDeadline(past)
	}
}

// rearm undoes what interrupt has done to the port. The caller looks at the life
// afterwards.
func (r *run) rearm() error {
	if r.write != nil {
		if err := r.write.SetWriteDeadline(time.Time{}); err != nil {
			return err
		}
	}
	return r.port.SetReadDeadline(time.Time{})
}

// changed returns errChanged if the goroutine is to do something else.
func (r *run) changed() error {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.life != r.t.life || r.ctx.Err() != nil {
		return errChanged
	}
	return nil
}

// read waits for bytes and returns them. They are valid until the next read.
func (r *run) read() ([]byte, error) {
	for {
		n, err := r.port.Read(r.buf[:])
		if changed := r.changed(); changed != nil {
			r.keep(r.buf[:n])
			return nil, changed
		}
		switch {
		case n > 0:
			return r.buf[:n], nil
		case isTimeout(err):
			if err := r.rearm(); err != nil {
				return nil, err
			}
			if err := r.changed(); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		}
	}
}

// discard loses what arrives, until the moment given unless that is zero. Then
// it returns nil.
func (r *run) discard(until time.Time) error {
	for {
		if err := r.port.SetReadDeadline(until); err != nil {
			return err
		}
		if err := r.changed(); err != nil {
			return err
		}
		if !until.IsZero() && !time.Now().Before(until) {
			return r.rearm()
		}
		if err := r.lose(); err != nil {
			return err
		}
	}
}

// lose reads until a deadline has passed or the life has changed.
func (r *run) lose() error {
	for {
		n, err := r.port.Read(r.buf[:])
		if r.changed() != nil {
			r.keep(r.buf[:n])
			return nil
		}
		if isTimeout(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// keep keeps bytes for the life that has begun unless the chip is held in reset.
// A Read can return bytes that came after its deadline was set to the past, if
// they came before its goroutine ran again.
func (r *run) keep(p []byte) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.kept = nil; r.t.powered && !r.t.held {
		r.kept = slices.Clone(p)
	}
}

// takeKept returns what was kept.
func (r *run) takeKept() []byte {
	p := r.kept
	r.kept = nil
	return p
}

// boot is a start after a reset: the chip looks at BOOT0.
func (r *run) boot() error {
	t := r.t
	t.observe(Event{Kind: EventReset})
	if d := t.o.Times.Boot; d > 0 {
		r.kept = nil
		if err := r.discard(time.Now().Add(d)); err != nil {
			return err
		}
	}
	t.rom.restart()
	r.in = nil
	r.lock(false)
	t.mu.Lock()
	rom := t.boot0
	t.entry = 0
	t.mu.Unlock()
	if !rom {
		return r.setMode(modeApp)
	}
	t.observe(Event{Kind: EventROM})
	return r.setMode(modeROM)
}

// wait is the time without power.
func (r *run) wait(restore time.Time) error {
	if err := r.discard(restore); err != nil {
		return err
	}
	r.t.PowerOn()
	return errChanged
}

// work lets time pass and returns how much has, less than d only with an error.
func (r *run) work(d time.Duration) (time.Duration, error) {
	if d <= 0 {
		return 0, r.changed()
	}
	start := time.Now()
	r.timer.Reset(d)
	defer r.timer.Stop()
	for {
		select {
		case <-r.timer.C:
			return d, r.changed()
		case <-r.wake:
		case <-r.ctx.Done():
		}
		if err := r.changed(); err != nil {
			return min(time.Since(start), d), err
		}
	}
}

// send writes bytes of the ROM.
func (r *run) send(p []byte) error {
	t := r.t
	if r.muted {
		return nil
	}
	if r.turn(true); t.rom.surplus {
		t.rom.surplus = false
		p = append([]byte{stm32boot.ACK}, p...)
	}
	t.mu.Lock()
	restore := t.cut.Restore
	n, cut := spend(&t.cut.Sent, len(p))
	t.stats.Sent += uint64(n)
	t.stats.Early += uint64(len(r.in))
	t.mu.Unlock()
	if err := r.pace(n); err != nil {
		return err
	}
	if err := r.put(p[:n]); err != nil {
		return err
	}
	if cut {
		return r.fail(restore)
	}
	return nil
}

// put writes to the port.
func (r *run) put(p []byte) error {
	for len(p) > 0 {
		if err := r.changed(); err != nil {
			return err
		}
		n, err := r.port.Write(p)
		p = p[min(n, len(p)):]
		switch {
		case isTimeout(err) && r.write != nil:
			if err := r.rearm(); err != nil {
				return err
			}
		case err != nil:
			return err
		case n <= 0:
			return io.ErrShortWrite
		}
	}
	return nil
}

// fail is a failure of the power.
func (r *run) fail(restore time.Duration) error {
	r.t.mu.Lock()
	stop := r.t.powerOff(restore)
	r.t.mu.Unlock()
	stop()
	return errChanged
}

// setMode makes the chip do something else, unless it has been reset.
func (r *run) setMode(m mode) error {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.t.life == r.life {
		r.t.mode = m
	}
	return errChanged
}

// reset is a reset that the chip gives itself.
func (r *run) reset() error {
	r.t.mu.Lock()
	r.t.mode = modeBoot
	stop := r.t.newLife()
	r.t.mu.Unlock()
	stop()
	return errChanged
}

// pace lets the time of n bytes pass that a port without a speed does not take.
func (r *run) pace(n int) error {
	if r.t.o.Baud <= 0 {
		return nil
	}
	now := time.Now()
	if r.until.Before(now) {
		r.until = now
	}
	r.until = r.until.Add(speed{r.t.o.Baud, bits8E1}.time(n))
	_, err := r.work(r.until.Sub(now))
	return err
}

// turn notes the direction of the bytes that come next.
func (r *run) turn(sending bool) {
	if r.sending != sending || !r.spoken {
		r.sending, r.spoken = sending, true
		r.t.count(func(s *Stats) { s.Turns++ })
	}
}

// isTimeout reports whether a read or write ended because of a deadline.
func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}
