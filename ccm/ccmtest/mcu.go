package ccmtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// ErrRunning is returned by a second [MCU.Run] beside a running one.
var ErrRunning = errors.New("ccmtest: the MCU is running already")

// MCUOptions says what an [MCU] is like. The zero value is a host of 2018 with
// the sketch of the CCM manual, which boots at once.
type MCUOptions struct {
	Generation Generation
	// Info is what Sys.Info answers; a stock host answers it in Gen2018 only.
	// FWVersion "" is "1.0", FWID "" is "Nov 24 2018 09:10:27".
	Info jsonrpc.SysInfo
	// Buffer is the size of a stock host's line buffer in bytes. 0 is the usual
	// size: 256, and 1024 for GenHead. Lines of up to one byte less are taken.
	Buffer int
	// Host configures a GenModern host. Its Info, unless set, is the one above.
	Host host.Config

	// Bare leaves out the sketch: Sum, Shadow.Delta and the boot report.
	Bare bool
	// Mirror makes the sketch report each delta as it came, in the place of
	// "on" and "uptime", so that every delta clears.
	Mirror bool
	// Report says how the boot report ends.
	Report BootReport
	// OnBoot, if set, is called after each boot, on a goroutine of its own. ctx
	// ends with the next reset.
	OnBoot func(ctx context.Context, m *MCU)

	// BootTime is how long the MCU takes from power-up and from each reset to
	// the moment it listens. What arrives before is lost.
	BootTime time.Duration
	// BootText is printed at the beginning of that time, as it is.
	BootText string
	// DropFirst is how many bytes the firmware loses after each boot.
	DropFirst int
	// ByteTime is how long the firmware takes to fetch each byte, so that what
	// arrives faster has to wait in the port: see Line.HostBuffer.
	ByteTime time.Duration
	// Chatter prints a line of log text this often; 0 is never. The lines are
	// of the kinds that hosts print, picked by Seed: with CR LF, with an open
	// brace, with bytes that are no text. They end with LF.
	Chatter time.Duration
	Seed    uint64
	// Log bounds the lines, the calls and the responses that are remembered, of
	// each kind; the oldest are forgotten first. 0 = 4096, below 0 = none.
	Log int
}

// BootReport says how the sketch's Shadow.Report at boot ends.
type BootReport uint8

// The ends of a boot report.
const (
	ReportUsual BootReport = iota // as in the published sketch: LF, but not for GenHead
	ReportLF
	ReportNoLF
	ReportNone // there is no boot report
)

// MCU is a host: a microcontroller with the firmware of one [Generation], on one
// side of a line. The stock generations act on every byte as the C library does;
// the package documentation has the table.
//
// All methods are safe for concurrent use.
type MCU struct {
	o     MCUOptions
	stock *stock // nil for GenModern; its receive belongs to the receiving goroutine
	out   chan chunk
	log   mcuLog

	sketch  sketch
	workers sync.WaitGroup // of the running Run

	mu       sync.Mutex
	handlers []registration
	running  bool            // Run has not returned
	on       bool            // there is power
	ctx      context.Context // of Run
	held     bool            // in reset
	life     *life           // nil while off or held in reset
	changed  chan struct{}   // closed and replaced when life changes
	hung     chan struct{}   // closed when the MCU goes on; nil unless it hangs
	trapIn   int             // reset after this many more bytes received; 0 = not set
	trapOut  int             // ... sent
	flush    func()          // throws away what the port has received; may be nil
	calls    map[uint64]chan<- response
	lastID   uint64
	stats    MCUStats
}

// registration is a handler of the firmware.
type registration struct {
	name    string
	handler jsonrpc.Handler
}

// MCUStats counts what an MCU has seen since NewMCU.
type MCUStats struct {
	Received   uint64 // bytes that the firmware got
	Lost       uint64 // bytes that came during a reset or boot, and those of DropFirst
	Sent       uint64 // bytes
	Unsent     uint64 // bytes that a reset kept from being sent
	Lines      uint64 // lines received
	Calls      uint64 // requests and notifications that reached a handler of Handle or the sketch
	Responses  uint64 // response frames received
	Complaints uint64 // lines answered by an error without id; stock hosts
	Wraps      uint64 // times the line buffer was full and started anew; stock hosts
	Boots      uint64 // boots completed
	Resets     uint64 // resets, power-up not counted
}

// NewMCU returns an MCU that is off.
func NewMCU(o MCUOptions) *MCU {
	if o.Info.FWVersion == "" {
		o.Info.FWVersion = "1.0"
	}
	if o.Info.FWID == "" {
		o.Info.FWID = "Nov 24 2018 09:10:27"
	}
	m := &MCU{o: o, out: make(chan chunk, outQueue), changed: make(chan struct{}), calls: map[uint64]chan<- response{}}
	m.log.init(o.Log)
	m.sketch.mcu = m
	if o.Generation != GenModern {
		m.stock = newStock(o.Generation, o.Info, o.Buffer)
		m.stock.response = m.response
	}
	if !o.Bare {
		m.HandleFunc("Sum", sum)
		m.HandleFunc("Shadow.Delta", m.sketch.delta)
	}
	return m
}

// Generation returns what the firmware is built on.
func (m *MCU) Generation() Generation { return m.o.Generation }

// Handle exports a method, from the next request on and over resets. On a stock
// host handlers run one at a time on the goroutine that receives, as they do in
// a main loop: nothing is received meanwhile. Their ctx ends with the next reset.
func (m *MCU) Handle(method string, h jsonrpc.Handler) {
	h = m.recorded(h)
	m.mu.Lock()
	m.handlers = append(m.handlers, registration{method, h})
	var modern *host.Host
	if m.life != nil {
		modern = m.life.host
	}
	m.mu.Unlock()
	if m.stock != nil {
		m.stock.engine.Handle(method, h)
	} else if modern != nil {
		modern.Handle(method, h)
	}
}

// HandleFunc exports a function; see [MCU.Handle].
func (m *MCU) HandleFunc(method string, f func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request)) {
	m.Handle(method, jsonrpc.HandlerFunc(f))
}

// Run powers the MCU up and runs it on a port until ctx ends or the port fails.
// It returns when all of its goroutines have: nil after the end of ctx, else the
// port's error. Run owns the port and has closed it when it returns. It may be
// called again, which is a power cycle.
func (m *MCU) Run(parent context.Context, port framing.Port) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	if !m.powerUp(ctx, port) {
		port.Close()
		return ErrRunning
	}
	m.workers.Go(func() { cancel(m.receive(ctx, port)) })
	m.workers.Go(func() { cancel(m.transmit(ctx, port)) })
	if m.o.Chatter > 0 {
		m.workers.Go(func() { m.chatter(ctx) })
	}
	<-ctx.Done()
	m.powerDown()
	port.Close()
	m.workers.Wait()
	m.mu.Lock()
	m.running = false
	m.mu.Unlock()
	if parent.Err() != nil {
		return nil
	}
	return fmt.Errorf("ccmtest: MCU: %w", context.Cause(ctx))
}

// powerUp takes the port and starts the first life.
func (m *MCU) powerUp(ctx context.Context, port framing.Port) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running {
		return false
	}
	m.running, m.on, m.ctx, m.flush = true, true, ctx, nil
	if p, can := port.(interface{ ResetInput() error }); can {
		m.flush = func() { _ = p.ResetInput() }
	}
	m.drain()
	m.begin()
	return true
}

// powerDown ends the life; there will be no other.
func (m *MCU) powerDown() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	m.on, m.flush = false, nil
}

// Stats returns the counters.
func (m *MCU) Stats() MCUStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	if m.stock != nil {
		s.Complaints, s.Wraps = m.stock.complaints.Load(), m.stock.wraps.Load()
	}
	return s
}

// count changes the counters.
func (m *MCU) count(change func(s *MCUStats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.stats)
}

// chatter prints log lines.
func (m *MCU) chatter(ctx context.Context) {
	r := rand.New(rand.NewPCG(m.o.Seed, 5))
	t := time.NewTicker(m.o.Chatter)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		text := chatterLine(r, n)
		m.mu.Lock()
		l, hung := m.life, m.hung != nil
		m.mu.Unlock()
		if l != nil && l.isUp() && !hung {
			m.push(l.ctx, l, []byte(text))
		}
	}
}

// chatterLine returns log text of a kind that hosts print.
func chatterLine(r *rand.Rand, n int) string {
	switch r.IntN(6) {
	case 0:
		return fmt.Sprintf("I (%d) adc: 23.5 C\r\n", n)
	case 1:
		return fmt.Sprintf("W (%d) queue {depth: 3\n", n)
	case 2:
		return "\xff\xfe\x00\xfe\n"
	case 3:
		return "\r\n"
	case 4:
		return fmt.Sprintf("[%d] \"state\": [1,2\r\n", n)
	}
	return fmt.Sprintf("loop %d ok, heap 1832\n", n)
}
