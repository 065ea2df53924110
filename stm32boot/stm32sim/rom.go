package stm32sim

import (
	"slices"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// rom is what the ROM remembers between two bytes.
type rom struct {
	synced  bool
	surplus bool // the next answer is to be preceded by an ACK
	need    int  // bytes of the stage
	next    func(*run, []byte) error
	got     []byte // of the stage, fewer than need

	cmd     byte
	addr    uint32
	fault   Fault           // hits this command
	written stm32boot.Range // by the command before, on chips with VerifyLast
}

// restart is what a reset does.
func (m *rom) restart() {
	*m = rom{got: m.got[:0]}
	m.await(0, nil)
}

// await makes n bytes the next stage; 0 is a command.
func (m *rom) await(n int, next func(*run, []byte) error) {
	if n == 0 {
		n, next = 2, (*run).onCommand
	}
	m.need, m.next, m.got = n, next, m.got[:0]
}

// serve is the ROM at work.
func (r *run) serve() error {
	if err := r.prefeed(); err != nil {
		return err
	}
	for p := r.takeKept(); ; {
		if err := r.hear(p); err != nil {
			return err
		}
		var err error
		if p, err = r.read(); err != nil {
			return err
		}
	}
}

// hear takes bytes from the line.
func (r *run) hear(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	r.turn(false)
	if err := r.pace(len(p)); err != nil {
		return err
	}
	return r.feed(r.t.drop(p))
}

// prefeed gives the ROM what it is to have received before the first Run.
func (r *run) prefeed() error {
	p := r.t.o.Pending
	r.t.o.Pending = nil
	r.muted = true
	defer func() { r.muted = false }()
	return r.feed(p)
}

// drop counts bytes that have arrived and returns those that are not lost.
func (t *Target) drop(p []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Received += uint64(len(p))
	n := min(t.o.DropFirst, len(p))
	t.o.DropFirst -= n
	return p[n:]
}

// feed gives the ROM bytes. A failure of the power takes those that are left.
func (r *run) feed(p []byte) error {
	m := &r.t.rom
	for r.in = p; len(r.in) > 0; {
		room := 1
		if m.synced {
			room = m.need - len(m.got)
		}
		got, err := r.fetch(room)
		switch {
		case err != nil:
			return err
		case !m.synced:
			err = r.autobaud(got[0])
		default:
			if m.got = append(m.got, got...); len(m.got) == m.need {
				err = m.next(r, m.got)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch takes up to n of the bytes that have arrived, unless the power fails with
// one of them.
func (r *run) fetch(n int) ([]byte, error) {
	t := r.t
	t.mu.Lock()
	restore := t.cut.Restore
	n, cut := spend(&t.cut.Received, min(n, len(r.in)))
	t.mu.Unlock()
	got := r.in[:n]
	r.in = r.in[n:]
	if cut {
		return nil, r.fail(restore)
	}
	return got, nil
}

// autobaud looks for the first 0x7F.
func (r *run) autobaud(b byte) error {
	if b != stm32boot.Init {
		return nil
	}
	t := r.t
	t.rom.cmd, t.rom.fault = b, t.hit(b)
	return r.take(step{
		stage: StageCommand, last: true,
		do: func() error {
			t.rom.synced = true
			t.count(func(s *Stats) { s.Syncs++ })
			t.observe(Event{Kind: EventSynced})
			r.lock(true)
			return nil
		},
		then: func() error {
			t.rom.surplus = t.chip.Flags.Has(stm32boot.ExtraACK)
			return nil
		},
	})
}

// lock tells a line of this package that the chip has measured its rate, or that
// it will.
func (r *run) lock(on bool) {
	if e, ok := r.port.(*End); ok {
		e.line.lock(on)
	}
}

// step is how the ROM deals with a stage that is in order.
type step struct {
	stage  Stage
	last   bool         // it completes the command
	do     func() error // before the answer; nil = nothing
	answer []byte       // nil = ACK
	then   func() error // after the answer; nil = nothing
	need   int          // bytes of the next stage, 0 = a command
	next   func(*run, []byte) error
}

// take carries a stage out and answers it, unless a fault is in the way.
func (r *run) take(s step) error {
	m := &r.t.rom
	f := m.fault
	if !f.strikes(s.stage, s.last) || f.Kind == Corrupt {
		f.Kind = 0
	} else {
		r.strike(f)
	}
	switch f.Kind {
	case NackCommand, NackAddr, NackData:
		return r.refuse()
	case Silent:
		m.await(0, nil)
		return nil
	case Hang:
		return r.setMode(modeHung)
	case Reboot:
		return r.reset()
	}
	m.await(s.need, s.next)
	if s.do != nil {
		if err := s.do(); err != nil {
			return err
		}
	}
	if s.answer == nil {
		s.answer = []byte{stm32boot.ACK}
	}
	if err := r.answer(&f, s.answer); err != nil || s.then == nil {
		return err
	}
	return s.then()
}

// strike notes that a fault strikes.
func (r *run) strike(f Fault) {
	r.t.count(func(s *Stats) { s.Faults++ })
	r.t.observe(Event{Kind: EventFault, Fault: f.Kind, Command: r.t.rom.cmd})
}

// answer sends an answer, unless a fault is in the way. It may change p.
func (r *run) answer(f *Fault, p []byte) error {
	switch f.Kind {
	case DropAck:
		return nil
	case Garbage:
		r.scramble(p)
	case Late:
		if _, err := r.work(f.Delay); err != nil {
			return err
		}
	case Busy:
		for range f.Count {
			r.t.count(func(s *Stats) { s.Busy++ })
			if err := r.send([]byte{stm32boot.BUSY}); err != nil {
				return err
			}
			if _, err := r.work(f.Delay); err != nil {
				return err
			}
		}
	}
	return r.send(p)
}

// scramble makes p random; it does not begin like an answer.
func (r *run) scramble(p []byte) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	for i := range p {
		p[i] = byte(r.t.rng.Uint32())
	}
	if slices.Contains([]byte{stm32boot.ACK, stm32boot.NACK, stm32boot.BUSY}, p[0]) {
		p[0] ^= 0x80
	}
}

// refuse forgets the command and says so.
func (r *run) refuse() error {
	r.t.rom.await(0, nil)
	r.t.count(func(s *Stats) { s.Nacks++ })
	r.t.observe(Event{Kind: EventNack, Command: r.t.rom.cmd})
	return r.send([]byte{stm32boot.NACK})
}
