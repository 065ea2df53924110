package jsonrpc

import (
	"bytes"
	"sync"
	"time"
)

// The reply cache lets a peer repeat a call whose answer it did not get: the
// handler runs once, the answer is sent again.
const (
	cacheSize = 32               // calls remembered
	cacheKeep = 10 * time.Second // how long a reply is remembered
)

// retryState tells what the cache knows of a call.
type retryState uint8

const (
	retryNone    retryState = iota // it is new: serve it
	retryJoins                     // the same call is being served
	retryReplays                   // the same call was served: send its reply again
)

// cacheSlot remembers one call.
type cacheSlot struct {
	ticket uint64 // who may complete it; 0: the slot is free
	done   bool
	until  time.Time // of a done one
	id     []byte
	body   []byte
	reply  []byte
}

// cacheRef is the right to complete a slot. The zero cacheRef refers to none.
type cacheRef struct {
	slot   *cacheSlot
	ticket uint64
}

// replyCache remembers the calls of a session.
type replyCache struct {
	mu     sync.Mutex
	slots  []cacheSlot // nil: the cache is off for good
	off    bool        // off until the next session: the peer reuses its ids
	ticket uint64
	reply  []byte // the last replayed one, for the reader
}

func (c *replyCache) init(on bool) {
	if on {
		c.slots = make([]cacheSlot, cacheSize)
	}
}

// reset begins a session.
func (c *replyCache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = false
	for i := range c.slots {
		c.slots[i].ticket = 0
	}
}

// begin looks a call up and remembers it if it is new. The reply of a call that
// was served is valid until the next begin.
func (c *replyCache) begin(m *Message) (cacheRef, retryState, []byte) {
	if c.slots == nil || readOnly(m.Method()) {
		return cacheRef{}, retryNone, nil
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return cacheRef{}, retryNone, nil
	}
	var room *cacheSlot // a free slot, else the one whose reply is oldest
	for i := range c.slots {
		s := &c.slots[i]
		if s.ticket != 0 && s.done && now.After(s.until) {
			s.ticket = 0
		}
		switch {
		case s.ticket == 0:
			if room == nil || room.ticket != 0 {
				room = s
			}
		case bytes.Equal(s.id, m.ID()):
			return c.same(s, m)
		case s.done && (room == nil || room.ticket != 0 && s.until.Before(room.until)):
			room = s
		}
	}
	if room == nil { // every slot belongs to a call that runs
		return cacheRef{}, retryNone, nil
	}
	c.ticket++
	room.ticket, room.done = c.ticket, false
	room.id = append(room.id[:0], m.ID()...)
	room.body = append(room.body[:0], m.frame...)
	return cacheRef{room, c.ticket}, retryNone, nil
}

// same judges a call whose id is known.
func (c *replyCache) same(s *cacheSlot, m *Message) (cacheRef, retryState, []byte) {
	switch {
	case !bytes.Equal(s.body, m.frame):
		c.off = true // ids mean nothing to this peer
		return cacheRef{}, retryNone, nil
	case s.done:
		c.reply = append(c.reply[:0], s.reply...)
		return cacheRef{}, retryReplays, c.reply
	}
	return cacheRef{}, retryJoins, nil
}

// keep remembers the reply to a call.
func (c *replyCache) keep(r cacheRef, reply []byte) {
	if r.slot == nil {
		return
	}
	until := time.Now().Add(cacheKeep)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.slot.ticket == r.ticket {
		r.slot.done, r.slot.until = true, until
		r.slot.reply = append(r.slot.reply[:0], reply...)
	}
}

// drop forgets a call that was not served.
func (c *replyCache) drop(r cacheRef) {
	if r.slot == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.slot.ticket == r.ticket {
		r.slot.ticket = 0
	}
}

// readOnly reports whether a method may as well run again: RPC.*, Sys.* and
// *.Get only read.
func readOnly(method []byte) bool {
	return bytes.HasPrefix(method, []byte("RPC.")) || bytes.HasPrefix(method, []byte("Sys.")) ||
		bytes.HasSuffix(method, []byte(".Get"))
}
