package ccm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// arrival is a message of the broker on its way to hosts.
type arrival struct {
	msg  *cloud.Message
	due  time.Time    // when to give up
	left atomic.Int32 // hosts that have neither got it nor been given up
}

// settle notes that one host is done with the message. When all are, the broker
// may forget it.
func (a *arrival) settle() {
	if a.left.Add(-1) == 0 {
		a.msg.Ack()
	}
}

// inbox is the bounded queue of messages for a host.
type inbox struct {
	mu    sync.Mutex
	queue []*arrival // a ring
	first int
	n     int
	max   int
	run   func() // starts the reader; nil: it must not be
	busy  bool   // there is a reader
}

// start lets messages be delivered by run, which is called when there is no
// reader yet.
func (q *inbox) start(run func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.run = run
}

// put queues a message, or reports false.
func (q *inbox) put(a *arrival) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == q.max {
		return false
	}
	if q.n == len(q.queue) {
		q.grow()
	}
	q.queue[(q.first+q.n)%len(q.queue)] = a
	q.n++
	if !q.busy && q.run != nil {
		q.busy = true
		q.run()
	}
	return true
}

// grow makes room for more messages, up to max.
func (q *inbox) grow() {
	bigger := make([]*arrival, min(max(2*len(q.queue), 4), q.max))
	for i := range q.n {
		bigger[i] = q.queue[(q.first+i)%len(q.queue)]
	}
	q.queue, q.first = bigger, 0
}

// take returns the oldest message; or nil, after which there is no reader.
func (q *inbox) take() *arrival {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		q.queue, q.first, q.busy = nil, 0, false // an idle host costs nothing
		return nil
	}
	a := q.queue[q.first]
	q.queue[q.first] = nil
	q.first = (q.first + 1) % len(q.queue)
	q.n--
	return a
}

// deliver hands the messages for the host on, one after the other, until there
// are none.
func (h *Host) deliver(ctx context.Context) {
	for {
		a := h.inbox.take()
		if a == nil {
			return
		}
		err := h.tell(ctx, a)
		switch {
		case err == nil:
			h.m.stats.delivered.Add(1)
		case ctx.Err() != nil:
			return // not acknowledged: the broker may send it again
		default:
			h.lost(a.msg, err)
		}
		a.settle()
	}
}

// tell sends a message to the host, as soon as there is one and before it is too
// late.
func (h *Host) tell(ctx context.Context, a *arrival) error {
	ctx, cancel := context.WithDeadline(ctx, a.due)
	defer cancel()
	for {
		l, err := h.wait(ctx, func(s HostState) bool { return s == HostReady || s == HostOpaque })
		if err != nil {
			return ErrHostDown
		}
		err = l.conn.NotifyWritten(ctx, "MQTT.Message", `{"topic":%Q,"message":%Q}`, a.msg.Topic, a.msg.Payload)
		if err == nil || ctx.Err() != nil || !l.over() {
			return err
		}
		if err := h.gone(ctx, l); err != nil {
			return err
		}
	}
}

// over reports whether the link has ended.
func (l *link) over() bool {
	select {
	case <-l.conn.Done():
		return true
	default:
		return false
	}
}

// gone waits until a link that has ended is no longer the host's.
func (h *Host) gone(ctx context.Context, l *link) error {
	for {
		h.mu.Lock()
		now, changed := h.link, h.changed
		h.mu.Unlock()
		if now != l {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ErrHostDown
		}
	}
}

// lost counts a message that the host did not get.
func (h *Host) lost(msg *cloud.Message, err error) {
	if errors.Is(err, jsonrpc.ErrTooLong) {
		h.m.stats.oversize.Add(1)
	} else {
		h.m.stats.undelivered.Add(1)
	}
	h.m.complain("message not delivered", h.cfg.Name, "topic", msg.Topic, "bytes", len(msg.Payload), "err", err)
}
