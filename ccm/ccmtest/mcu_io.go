package ccmtest

import (
	"context"
	"time"

	"github.com/ccmkit/ccmkit/framing"
)

const (
	outQueue  = 64 // frames and texts that wait to be sent; then the sender waits
	readSize  = 256
	writeSize = 16 // a reset cuts off what is being sent between pieces of this size
)

// chunk is something to be sent, by one life.
type chunk struct {
	life *life
	data []byte
}

// push queues something to be sent. It reports false when the life, or ctx, has
// ended.
func (m *MCU) push(ctx context.Context, l *life, data []byte) bool {
	select {
	case m.out <- chunk{l, data}:
		return true
	case <-l.ctx.Done():
	case <-ctx.Done():
	}
	return false
}

// drain empties the queue.
func (m *MCU) drain() {
	for {
		select {
		case <-m.out:
		default:
			return
		}
	}
}

// transmit sends what is queued.
func (m *MCU) transmit(ctx context.Context, port framing.Port) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-m.out:
			if err := m.send(ctx, port, c); err != nil {
				return err
			}
		}
	}
}

// send writes a chunk, as far as its life lasts.
func (m *MCU) send(ctx context.Context, port framing.Port, c chunk) error {
	for len(c.data) > 0 {
		if !m.awake(ctx) || c.life.ctx.Err() != nil {
			m.count(func(s *MCUStats) { s.Unsent += uint64(len(c.data)) })
			return nil
		}
		n := m.beforeTrap(&m.trapOut, min(len(c.data), writeSize))
		k, err := port.Write(c.data[:n])
		c.data = c.data[k:]
		m.count(func(s *MCUStats) { s.Sent += uint64(k) })
		if err != nil {
			return err
		}
		m.spring(&m.trapOut, k)
	}
	return nil
}

// beforeTrap returns how many of n bytes may pass before the trap springs.
func (m *MCU) beforeTrap(trap *int, n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if *trap > 0 && *trap < n {
		return *trap
	}
	return n
}

// spring takes n bytes off a trap and resets the MCU when that was the last.
func (m *MCU) spring(trap *int, n int) {
	m.mu.Lock()
	sprung := *trap > 0 && *trap <= n
	if *trap > 0 {
		*trap -= min(n, *trap)
	}
	m.mu.Unlock()
	if sprung {
		m.pulse()
	}
}

// receive reads the port and feeds the firmware.
func (m *MCU) receive(ctx context.Context, port framing.Port) error {
	size := readSize
	if m.o.ByteTime > 0 {
		size = 1
	}
	f := feeder{m: m}
	for buf := make([]byte, size); m.awake(ctx); {
		n, err := port.Read(buf)
		if err != nil {
			return err
		}
		l := m.current()
		if !m.awake(ctx) {
			break
		}
		f.take(l, buf[:n])
		if m.o.ByteTime > 0 && !rest(ctx, m.o.ByteTime) {
			break
		}
	}
	return nil
}

// rest waits; it returns false when ctx ends.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// feeder passes what the line brings to the firmware of the life at the time.
// It belongs to the receiving goroutine.
type feeder struct {
	m    *MCU
	life *life // to which the state belongs
	drop int   // bytes that the firmware still loses
	line []byte
}

// take passes on bytes that came during a life, which may be nil, or loses them.
func (f *feeder) take(l *life, p []byte) {
	m := f.m
	for len(p) > 0 {
		if l == nil || time.Now().Before(l.due) || !f.enter(l) {
			m.count(func(s *MCUStats) { s.Lost += uint64(len(p)) })
			return
		}
		n := m.beforeTrap(&m.trapIn, len(p))
		f.feed(l, p[:n])
		m.spring(&m.trapIn, n)
		p = p[n:]
	}
}

// enter waits until the firmware listens, and makes its state the feeder's. It
// reports false when the life has ended.
func (f *feeder) enter(l *life) bool {
	select {
	case <-l.up:
	case <-l.ctx.Done():
	}
	if l.ctx.Err() != nil {
		return false
	}
	if f.life != l {
		f.life, f.drop, f.line = l, f.m.o.DropFirst, nil
		if f.m.stock != nil {
			f.m.stock.reset()
		}
	}
	return true
}

// feed gives bytes to the firmware.
func (f *feeder) feed(l *life, p []byte) {
	lost := min(f.drop, len(p))
	f.drop -= lost
	p = p[lost:]
	lines := f.keepLines(p)
	f.m.count(func(s *MCUStats) {
		s.Lost += uint64(lost)
		s.Received += uint64(len(p))
		s.Lines += lines
	})
	if len(p) == 0 {
		return
	}
	if f.m.stock == nil {
		_, _ = l.feed.Write(p) // fails only at the end of the life
		return
	}
	f.m.stock.receive(l.ctx, p, func(reply []byte) { f.m.push(l.ctx, l, reply) })
}

// maxLine is the longest line that is remembered.
const maxLine = 64 << 10

// keepLines remembers the lines that end in p and returns how many do.
func (f *feeder) keepLines(p []byte) (n uint64) {
	for _, b := range p {
		if b != '\n' {
			if len(f.line) < maxLine {
				f.line = append(f.line, b)
			}
			continue
		}
		f.m.log.line(string(f.line))
		f.line = f.line[:0]
		n++
	}
	return n
}
