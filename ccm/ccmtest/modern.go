package ccmtest

import (
	"context"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// bootModern starts a host of package ccm/host for a life. It talks to the line
// through a pair of ports in memory, so that resets, hangs and lost bytes happen
// outside of it.
func (m *MCU) bootModern(l *life) {
	m.sketch.begin()
	cfg := m.o.Host
	if cfg.Info == (host.Info{}) {
		i := m.o.Info
		cfg.Info = host.Info{FWVersion: i.FWVersion, Arch: i.Arch, FWID: i.FWID, App: i.App}
	}
	h := host.New(&cfg)
	if !m.o.Bare {
		if m.o.Report != ReportNone {
			h.OnInit(func(ctx context.Context) { _ = h.Report(ctx, "%s", m.sketch.switchState()) })
		}
	}
	near, far := wire.Pair(nil)
	m.mu.Lock()
	for _, r := range m.handlers {
		h.Handle(r.name, r.handler)
	}
	l.host, l.feed = h, near
	m.mu.Unlock()
	m.workers.Go(func() { _ = h.Run(l.ctx, far) }) // ends with the life
	m.workers.Go(func() { m.pump(l, near) })
	_ = h.Attached(l.ctx) // fails when the life ends before
}

// pump sends what the host writes, in whole lines, so that no log text gets into
// them, unless the host itself writes in pieces.
func (m *MCU) pump(l *life, near *wire.End) {
	defer near.Close()
	var lines []byte
	for buf := make([]byte, readSize); ; {
		n, err := near.Read(buf)
		if err != nil {
			return
		}
		lines = append(lines, buf[:n]...)
		if lines[len(lines)-1] != '\n' && m.o.Host.Pace == (framing.Pace{}) {
			continue
		}
		if !m.push(l.ctx, l, lines) {
			return
		}
		lines = nil
	}
}

// Host returns the host of package ccm/host that runs on a GenModern MCU, a new
// one after each boot, or nil while there is none.
func (m *MCU) Host() *host.Host {
	if l := m.current(); l != nil && l.isUp() {
		return l.host
	}
	return nil
}
