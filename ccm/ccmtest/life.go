package ccmtest

import (
	"context"
	"time"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// life is the time between two resets.
type life struct {
	ctx    context.Context // ends with it
	cancel context.CancelFunc
	due    time.Time     // when the firmware listens
	up     chan struct{} // closed when it does

	// Of a GenModern host, set before up is closed.
	host *host.Host
	feed *wire.End // what the line brings goes here
}

// isUp reports whether the firmware listens.
func (l *life) isUp() bool {
	select {
	case <-l.up:
		return true
	default:
		return false
	}
}

// begin starts a life unless the MCU is off or held in reset; mu is held.
func (m *MCU) begin() {
	if m.held || !m.on || m.life != nil {
		return
	}
	ctx, cancel := context.WithCancel(m.ctx)
	l := &life{ctx: ctx, cancel: cancel, due: time.Now().Add(m.o.BootTime), up: make(chan struct{})}
	m.life = l
	m.change()
	m.workers.Go(func() { m.live(l) })
}

// end ends the life, if there is one; mu is held.
func (m *MCU) end() {
	if m.life == nil {
		return
	}
	m.life.cancel()
	m.life = nil
	if m.hung != nil {
		close(m.hung)
		m.hung = nil
	}
	m.trapIn, m.trapOut = 0, 0
	m.change()
}

// change tells those who wait that life has changed; mu is held.
func (m *MCU) change() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// live boots the firmware and runs what it does by itself.
func (m *MCU) live(l *life) {
	if m.o.BootText != "" {
		m.push(l.ctx, l, []byte(m.o.BootText))
	}
	t := time.NewTimer(time.Until(l.due))
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ctx.Done():
		return
	}
	if m.stock != nil {
		m.sketch.boot(l)
	} else {
		m.bootModern(l)
	}
	m.mu.Lock()
	if l.ctx.Err() == nil {
		m.stats.Boots++
		close(l.up)
	}
	m.mu.Unlock()
	if m.o.OnBoot != nil && l.ctx.Err() == nil {
		m.o.OnBoot(l.ctx, m)
	}
}

// Reset pulses the reset pin: the MCU forgets everything at once, in the middle
// of a frame or not, and boots. It never fails; the signature is that of
// ccm.HostConfig.Reset.
func (m *MCU) Reset(context.Context) error {
	m.pulse()
	return nil
}

func (m *MCU) pulse() {
	m.Hold(true)
	m.Hold(false)
}

// Hold holds the reset pin (true) or releases it. While it is held the MCU is
// dead; after that it boots. It may be wired to a line of the module's port:
//
//	ccmtest.Line{OnControl: func(e ccmtest.Event) {
//		if e.Side == ccmtest.Module && e.Kind == ccmtest.EventDTR {
//			mcu.Hold(e.Level)
//		}
//	}}
func (m *MCU) Hold(on bool) {
	m.mu.Lock()
	if on && m.life != nil {
		m.stats.Resets++
		m.end()
	}
	m.held = on
	m.begin()
	flush := m.flush
	m.mu.Unlock()
	if on && flush != nil {
		flush()
	}
}

// ResetAfter arms a trap: the MCU resets itself when it has received or sent so
// many more bytes, whichever comes first. 0 means never; the next reset disarms
// both.
func (m *MCU) ResetAfter(received, sent int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trapIn, m.trapOut = max(received, 0), max(sent, 0)
}

// Hang makes the firmware hang, or go on. While it hangs nothing is received,
// sent or printed; what arrives waits in the port. A reset ends it.
func (m *MCU) Hang(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case on && m.hung == nil && m.life != nil:
		m.hung = make(chan struct{})
	case !on && m.hung != nil:
		close(m.hung)
		m.hung = nil
	}
}

// awake waits while the firmware hangs; it returns false when ctx ends.
func (m *MCU) awake(ctx context.Context) bool {
	for {
		m.mu.Lock()
		hung := m.hung
		m.mu.Unlock()
		if hung == nil {
			return ctx.Err() == nil
		}
		select {
		case <-hung:
		case <-ctx.Done():
			return false
		}
	}
}

// current returns the life, nil while there is none.
func (m *MCU) current() *life {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life
}

// Ready waits until the firmware listens; before Run is called and after it has
// returned that may be for ever. The one error is that of ctx.
func (m *MCU) Ready(ctx context.Context) error {
	_, err := m.ready(ctx)
	return err
}

func (m *MCU) ready(ctx context.Context) (*life, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m.mu.Lock()
		l, changed := m.life, m.changed
		m.mu.Unlock()
		var up <-chan struct{}
		if l != nil {
			up = l.up
		}
		select {
		case <-up:
			return l, nil
		case <-changed:
		case <-ctx.Done():
		}
	}
}
