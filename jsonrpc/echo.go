package jsonrpc

import (
	"bytes"
	"slices"
	"sync"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// echoFilter remembers the last error replies, because hosts of 2018 answer each
// with a parse error that quotes it.
type echoFilter struct {
	mu   sync.Mutex
	last [8][]byte // several may be on the line at once
	next int       // to be overwritten next
}

// maxEcho is how much of an error reply is remembered.
const maxEcho = 512

func (e *echoFilter) sent(frame []byte) {
	e.mu.Lock()
	e.last[e.next] = append(e.last[e.next][:0], frame[:min(len(frame), maxEcho)]...)
	e.next = (e.next + 1) % len(e.last)
	e.mu.Unlock()
}

// quotes reports whether an error object quotes one of the last error replies.
func (e *echoFilter) quotes(errorValue []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.last[0]) == 0 {
		return false // none was sent
	}
	text, is := mjson.Find(errorValue, "$.message").AppendString(nil)
	return is && slices.ContainsFunc(e.last[:], func(sent []byte) bool {
		return len(sent) > 0 && bytes.HasPrefix(text, sent)
	})
}

// complaint handles an error without an id. It is never answered and fits no
// call: either it quotes our own error reply, which is noise, or the peer did
// not understand the last frame.
func (c *Conn) complaint(m *Message) {
	if c.echoes.quotes(m.ErrorValue()) {
		c.stats.echoes.Add(1)
		return
	}
	c.stats.complaints.Add(1)
	c.observe(EventComplaint, m.frame, nil)
}
