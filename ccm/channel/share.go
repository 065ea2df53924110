package channel

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/framing"
)

// shareQuiet is how long mos must have been silent, with none of its calls at
// work, before what the module writes goes to the host again.
const shareQuiet = 3 * time.Second

// Share returns a function that opens a port for a host, on which the mos tool is
// served too: for devices with one serial connector, to which a host or a
// computer is plugged. It takes the place of SerialConfig.Open as the function
// that opens the port of the host.
//
// What comes in goes to the host's side until a frame begins as mos begins its
// frames and its handshake, with three quotation marks and { or 04, which no host
// does. From there on the line belongs to mos, until a line begins with { as
// those of hosts do, or mos has been silent for three seconds. What the host's
// side writes meanwhile is lost.
//
// Closing the port ends the calls of mos and waits for them. The port that was
// opened with SerialConfig.Open is returned by the method Unwrap() framing.Port;
// after that call everything that comes in goes to the host's side.
func Share(s *Service, cfg SerialConfig) func(ctx context.Context) (framing.Port, error) {
	return func(ctx context.Context) (framing.Port, error) {
		port, err := cfg.Open(ctx)
		if err != nil {
			return nil, err
		}
		if port == nil {
			return nil, errors.New("channel: SerialConfig.Open returned no port")
		}
		return newShared(ctx, s, port, &cfg), nil
	}
}

// sharedPort is the host's side of a shared port.
type sharedPort struct {
	framing.Port
	s    *Service
	o    *access.Origin // of the calls of mos
	mos  *mosSide
	turn chan struct{} // the right to write
	end  func()        // ends the serving of mos
	done chan struct{} // closed by Close
	once sync.Once
	err  error // of Close
	wg   sync.WaitGroup

	mu     sync.Mutex
	raw    bool // everything is the host's
	isMos  bool // whose line it is
	heard  time.Time
	quotes int  // quotation marks in a row
	fresh  bool // a line begins
}

func newShared(ctx context.Context, s *Service, port framing.Port, cfg *SerialConfig) *sharedPort {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &sharedPort{
		Port: port, s: s, o: cfg.origin(), turn: make(chan struct{}, 1), end: cancel, done: make(chan struct{}), fresh: true,
	}
	p.mos = &mosSide{shared: p, in: make(chan []byte, 64), closed: make(chan struct{})}
	p.wg.Go(func() { s.serveMos(ctx, p.mos, p.o, cfg.Line) })
	return p
}

// Unwrap returns the port below, and ends the sharing.
func (p *sharedPort) Unwrap() framing.Port {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raw = true
	return p.Port
}

// Read returns what is for the host.
func (p *sharedPort) Read(b []byte) (int, error) {
	for {
		n, err := p.Port.Read(b)
		if n = p.sort(b[:n]); n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// sort keeps the bytes for the host in b, returns how many these are, and hands
// the others to mos.
func (p *sharedPort) sort(b []byte) (kept int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.raw {
		return len(b)
	}
	var forMos []byte
	for _, c := range b {
		switch {
		case p.quotes >= 3 && (c == '{' || c == 0x04) && !p.mosHolds():
			p.isMos = true
			forMos = append(forMos, `"""`...)
			b[kept] = '\n' // ends what the host's side takes the quotation marks for
			kept++
		case c == '{' && p.fresh:
			p.isMos = false
		}
		if p.isMos {
			forMos = append(forMos, c)
		} else {
			b[kept] = c
			kept++
		}
		p.follow(c)
	}
	if len(forMos) > 0 {
		p.heard = time.Now()
		p.mos.push(forMos)
	}
	return kept
}

// follow keeps track of where in a line the input is.
func (p *sharedPort) follow(c byte) {
	if c == '"' {
		p.quotes++
	} else {
		p.quotes = 0
	}
	p.fresh = c == '\n' || p.fresh && (c == ' ' || c == '\r' || c == '\t')
}

// mosHolds reports whether the line belongs to mos now.
func (p *sharedPort) mosHolds() bool {
	if p.isMos && !p.raw && time.Since(p.heard) >= shareQuiet && p.s.places.of(p.o) == 0 {
		p.isMos = false
	}
	return p.isMos && !p.raw
}

// Write writes for the host, unless the line belongs to mos.
func (p *sharedPort) Write(b []byte) (int, error) {
	p.mu.Lock()
	lost := p.mosHolds()
	p.mu.Unlock()
	if lost {
		return len(b), nil
	}
	return p.put(b)
}

// put writes to the port, one at a time.
func (p *sharedPort) put(b []byte) (int, error) {
	select {
	case p.turn <- struct{}{}:
	case <-p.done:
		return 0, framing.ErrClosed
	}
	defer func() { <-p.turn }()
	return p.Port.Write(b)
}

// Close closes the port, ends the calls of mos and waits for them.
func (p *sharedPort) Close() error {
	p.once.Do(func() {
		close(p.done)
		p.err = p.Port.Close()
		p.end()
	})
	p.wg.Wait()
	return p.err
}

// mosSide is the port on which mos is served. One goroutine reads.
type mosSide struct {
	shared *sharedPort
	in     chan []byte
	rest   []byte
	once   sync.Once
	closed chan struct{}

	mu       sync.Mutex
	deadline time.Time
}

// push hands over what has come in. If it is not taken, it is lost, as on any
// line.
func (m *mosSide) push(b []byte) {
	select {
	case m.in <- b:
	default:
	}
}

// errLate is the error of a read whose deadline has passed.
var errLate error = lateError{}

type lateError struct{}

func (lateError) Error() string { return "channel: read timeout" }
func (lateError) Timeout() bool { return true }

// Read returns what mos has sent. The deadline is that of its beginning.
func (m *mosSide) Read(b []byte) (int, error) {
	if len(m.rest) == 0 {
		m.mu.Lock()
		deadline := m.deadline
		m.mu.Unlock()
		var late <-chan time.Time
		if !deadline.IsZero() {
			t := time.NewTimer(time.Until(deadline))
			defer t.Stop()
			late = t.C
		}
		select {
		case m.rest = <-m.in:
		case <-late:
			return 0, errLate
		case <-m.closed:
			return 0, framing.ErrClosed
		}
	}
	n := copy(b, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// Write writes for mos, to whom the line belongs from here on for a while.
func (m *mosSide) Write(b []byte) (int, error) {
	p := m.shared
	p.mu.Lock()
	holds := p.mosHolds()
	if holds {
		p.heard = time.Now()
	}
	p.mu.Unlock()
	if !holds {
		return len(b), nil // it has gone
	}
	return p.put(b)
}

// SetReadDeadline sets the deadline of the next Read.
func (m *mosSide) SetReadDeadline(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deadline = t
	return nil
}

// Close ends reads. The port itself stays open, it is the host's.
func (m *mosSide) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}
