package jsonrpc

import (
	"bytes"
	"hash/maphash"
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
	ticket uint64 // who may complete it
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
	on     bool // else the cache is off for good
	mu     sync.Mutex
	seed   maphash.Seed
	slots  []cacheSlot       // made for the first call
	hashes [cacheSize]uint64 // of the ids in the slots; 0: the slot is free
	next   int               // slot to take next: the one that was taken longest ago
	off    bool              // off until the next session: the peer reuses its ids
	ticket uint64
	reply  []byte // the last replayed one, for the reader
}

func (c *replyCache) init(on bool) {
	c.on, c.seed = on, maphash.MakeSeed()
}

// reset begins a session.
func (c *replyCache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = false
	c.ticket++
	clear(c.hashes[:])
	for i := range c.slots {
		c.slots[i].ticket = 0
	}
}

// begin looks a call up and remembers it if it is new. The reply of a call that
// was served is valid until the next begin.
func (c *replyCache) begin(m *Message) (cacheRef, retryState, []byte) {
	if !c.on || readOnly(m.Method()) {
		return cacheRef{}, retryNone, nil
	}
	id := m.ID()
	hash := maphash.Bytes(c.seed, id) | 1
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return cacheRef{}, retryNone, nil
	}
	for i := range c.hashes {
		if c.hashes[i] != hash {
			continue
		}
		if s := &c.slots[i]; bytes.Equal(s.id, id) {
			if s.done && time.Now().After(s.until) {
				c.hashes[i] = 0
				continue
			}
			return c.same(s, m)
		}
	}
	if c.slots == nil {
		c.slots = make([]cacheSlot, cacheSize)
	}
	i, found := c.room()
	if !found {
		return cacheRef{}, retryNone, nil
	}
	c.ticket++
	c.hashes[i] = hash
	s := &c.slots[i]
	s.ticket, s.done = c.ticket, false
	s.id = append(s.id[:0], id...)
	s.body = append(s.body[:0], m.frame...)
	return cacheRef{s, c.ticket}, retryNone, nil
}

// room returns the slot that was taken longest ago and is not that of a call
// which still runs, if there is one.
func (c *replyCache) room() (int, bool) {
	for range cacheSize {
		i := c.next
		c.next = (c.next + 1) % cacheSize
		if c.hashes[i] == 0 || c.slots[i].done {
			return i, true
		}
	}
	return 0, false
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

// keep remembers the reply to a call, unless it is larger than what is worth
// the memory: the handler of such a call runs again when it is repeated.
func (c *replyCache) keep(r cacheRef, reply []byte) {
	if r.slot == nil {
		return
	}
	until := time.Now().Add(cacheKeep)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.slot.ticket != r.ticket {
		return
	}
	r.slot.done, r.slot.until = true, until
	r.slot.reply = append(r.slot.reply[:0], reply...)
	if len(r.slot.reply)+len(r.slot.body) > maxKept {
		c.forget(r)
		r.slot.reply, r.slot.body = nil, nil
	}
}

// drop forgets a call that was not served.
func (c *replyCache) drop(r cacheRef) {
	if r.slot == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(r)
}

// forget frees a slot. The lock is held.
func (c *replyCache) forget(r cacheRef) {
	for i := range c.slots {
		if s := &c.slots[i]; s == r.slot && s.ticket == r.ticket {
			s.ticket, c.hashes[i] = 0, 0
		}
	}
}

// readOnly reports whether a method may as well run again: RPC.*, Sys.* and
// *.Get only read.
func readOnly(method []byte) bool {
	return bytes.HasPrefix(method, []byte("RPC.")) || bytes.HasPrefix(method, []byte("Sys.")) ||
		bytes.HasSuffix(method, []byte(".Get"))
}
