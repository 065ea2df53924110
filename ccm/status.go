package ccm

import (
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/outbox"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/shadow"
)

// Status is what is going on now.
type Status struct {
	ID     string
	Uptime time.Duration
	Cloud  cloud.Status
	Hosts  []HostStatus
}

// HostStatus is what is known about a host.
type HostStatus struct {
	Name       string
	State      HostState
	Info       HostInfo
	Sessions   uint64 // how often the host was found: starts of it, and openings of the port
	FrameLimit int    // longest frame to it without CRC suffix; 0 = any
	CRC        bool   // it has shown CRC suffixes
	Queued     int    // messages that wait for it
}

// Stats are counters since the module was made.
type Stats struct {
	Published    uint64 // MQTT.Pub taken
	Refused      uint64 // requests of hosts refused: bad params, full queue, no connection
	Arrived      uint64 // messages from the broker
	Delivered    uint64 // messages written to a host
	Undelivered  uint64 // messages given up: the host was away for too long
	Oversize     uint64 // messages and parts of deltas that are longer than the host takes
	Overflow     uint64 // messages dropped because the queue of the host was full
	NotText      uint64 // messages dropped because they are not UTF-8
	Deltas       uint64 // Shadow.Delta frames written
	Reports      uint64 // Shadow.Report taken
	CloudCalls   uint64 // calls from the cloud
	CloudInvalid uint64 // frames to ID/rpc that are no calls, and were dropped
	CloudBusy    uint64 // of the calls, refused because too many were going on
	CloudUnsent  uint64 // answers to the cloud that could not be sent
	Hung         uint64 // times the watchdog found a host hung
	Outbox       outbox.Stats
	Cloud        cloud.Stats
	Hosts        map[string]HostStats
}

// HostStats are the counters of a host.
type HostStats struct {
	Port   PortStats
	Shadow shadow.Stats
}

// PortStats are the counters of all links to a host together.
type PortStats struct {
	Opened uint64        // how often the port was opened
	Line   framing.Stats // of the link of now, or the last one
	RPC    jsonrpc.Stats // of the link of now, or the last one
}

// counters are the module's own.
type counters struct {
	published, refused, arrived, delivered, undelivered, oversize, overflow, notText, deltas, reports,
	cloudCalls, cloudBad, cloudBusy, cloudUnsent, hung atomic.Uint64
}

// Status returns what is going on now.
func (m *Module) Status() Status {
	s := Status{ID: m.cfg.ID, Uptime: m.Uptime()}
	if m.cloud != nil {
		s.Cloud = m.cloud.Status()
	}
	for _, h := range m.hosts {
		s.Hosts = append(s.Hosts, h.Status())
	}
	return s
}

// Stats returns the counters.
func (m *Module) Stats() Stats {
	c := &m.stats
	s := Stats{
		Published: c.published.Load(), Refused: c.refused.Load(), Arrived: c.arrived.Load(), Delivered: c.delivered.Load(),
		Undelivered: c.undelivered.Load(), Oversize: c.oversize.Load(), Overflow: c.overflow.Load(), NotText: c.notText.Load(),
		Deltas: c.deltas.Load(), Reports: c.reports.Load(), CloudCalls: c.cloudCalls.Load(), CloudInvalid: c.cloudBad.Load(),
		CloudBusy: c.cloudBusy.Load(), CloudUnsent: c.cloudUnsent.Load(), Hung: c.hung.Load(),
		Outbox: m.outbox.Stats(), Hosts: map[string]HostStats{},
	}
	if m.cloud != nil {
		s.Cloud = m.cloud.Stats()
	}
	for _, h := range m.hosts {
		s.Hosts[h.cfg.Name] = h.Stats()
	}
	return s
}

// Status returns what is known about the host.
func (h *Host) Status() HostStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := HostStatus{Name: h.cfg.Name, State: h.state, Info: h.info, Sessions: h.sessions, Queued: h.inbox.len()}
	if h.link != nil {
		s.FrameLimit, s.CRC = h.link.frames.FrameLimit(), h.link.frames.PeerCRC()
	}
	return s
}

// Info returns what the host has told about itself.
func (h *Host) Info() HostInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.info
}

// Stats returns the counters of the host.
func (h *Host) Stats() HostStats {
	h.mu.Lock()
	s := HostStats{Port: h.port}
	l := h.link
	h.mu.Unlock()
	if l != nil {
		s.Port.add(l)
	}
	if h.syncer != nil {
		s.Shadow = h.syncer.Stats()
	}
	return s
}

// add counts another link.
func (p *PortStats) add(l *link) {
	p.Opened++
	p.Line, p.RPC = l.frames.Stats(), l.conn.Stats()
}

// len returns how many messages wait.
func (q *inbox) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}
