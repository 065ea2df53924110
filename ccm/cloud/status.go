package cloud

import (
	"slices"
	"sync/atomic"
	"time"
)

// Status is what a [Conn] knows about its connection.
type Status struct {
	Connected      bool      // CONNACK came, and an answer to every subscription
	Server         string    // address of the server, or of the one that was tried last
	Secure         bool      // the connection to Server is or was over TLS
	SessionPresent bool      // the server remembers the session
	Since          time.Time // when Connected became what it is

	// Reason and Err are why there is no connection. Err is an [*Error], nil
	// while Reason is ReasonNone, ReasonNotStarted or ReasonStopped.
	Reason   Reason
	Err      error
	Failures int       // attempts and connections in a row that failed
	Next     time.Time // when the next attempt is made, while there is none

	// Refused are the topic filters that the server refuses, of those that are
	// sent at every connect.
	Refused []string
}

// String says in one line how things are.
func (s Status) String() string {
	switch {
	case s.Connected:
		return "connected to " + s.Server
	case s.Err != nil:
		return s.Err.Error()
	}
	return s.Reason.String()
}

// Status returns how things are.
func (c *Conn) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	for _, sub := range c.subs {
		if sub.refused {
			s.Refused = append(s.Refused, sub.filter)
		}
	}
	slices.Sort(s.Refused)
	return s
}

// report makes s the status and tells the program.
func (c *Conn) report(s Status) {
	c.mu.Lock()
	if s.Connected != c.status.Connected || c.status.Since.IsZero() {
		s.Since = time.Now()
	} else {
		s.Since = c.status.Since
	}
	c.status = s
	c.mu.Unlock()
	if c.cfg.OnStatus != nil {
		c.cfg.OnStatus(c.Status())
	}
}

// Stats are the counters of a [Conn] since it was made.
type Stats struct {
	Attempts     uint64 // connections tried
	Connects     uint64 // connections the server accepted
	Lost         uint64 // of these, the ones that ended other than by the end of Run
	BytesIn      uint64 // of MQTT packets
	BytesOut     uint64 // of MQTT packets
	Published    uint64 // messages written with QoS 0, or acknowledged with QoS 1
	Unpublished  uint64 // messages that ended with ErrLost
	Received     uint64 // messages given to OnMessage
	Acknowledged uint64 // of these, the ones acknowledged to the server
	BadTopics    uint64 // messages dropped because no topic may look like that
	BadPackets   uint64 // connections ended because of what the server sent
	Refused      uint64 // subscriptions the server refused
}

// stats holds the counters while they count.
type stats struct {
	attempts, connects, lost, bytesIn, bytesOut, published, unpublished,
	received, acknowledged, badTopics, badPackets, refused atomic.Uint64
}

// Stats returns the counters.
func (c *Conn) Stats() Stats {
	s := &c.stats
	return Stats{
		Attempts: s.attempts.Load(), Connects: s.connects.Load(), Lost: s.lost.Load(),
		BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load(),
		Published: s.published.Load(), Unpublished: s.unpublished.Load(),
		Received: s.received.Load(), Acknowledged: s.acknowledged.Load(),
		BadTopics: s.badTopics.Load(), BadPackets: s.badPackets.Load(), Refused: s.refused.Load(),
	}
}
