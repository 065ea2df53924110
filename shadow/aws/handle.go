package aws

import (
	"bytes"
	"strings"

	"github.com/ccmkit/ccmkit/shadow"
)

// handle takes a message from the transport.
func (b *Backend) handle(topic string, payload []byte) {
	rest, mine := strings.CutPrefix(topic, b.prefix)
	if !mine {
		return
	}
	if rest == deleteAccepted {
		b.changed(shadow.Delta{})
		return
	}
	m, ok := parse(payload)
	if !ok {
		b.malformed.Add(1)
		return
	}
	switch rest {
	case updateDelta:
		if m.state == nil || m.version < 1 {
			b.malformed.Add(1)
			return
		}
		b.changed(shadow.Delta{State: bytes.Clone(m.state), Version: m.version})
	case getAccepted:
		b.answered(get, &m, func() (a answer) {
			var ok bool
			if a.doc, ok = m.document(); !ok {
				b.malformed.Add(1)
				return answer{err: ErrAnswer}
			}
			return a
		})
	case updateAccepted:
		b.answered(update, &m, func() answer { return answer{} })
	case getRejected:
		b.rejected(get, &m)
	case updateRejected:
		b.rejected(update, &m)
	}
}

// changed passes on a change of the desired state.
func (b *Backend) changed(d shadow.Delta) {
	b.mu.Lock()
	f := b.deltas
	b.mu.Unlock()
	if f != nil {
		f(d)
	}
}

// rejected ends the pending request, if a refusal means it. The service echoes
// the token of a request, unless it could not or would not read it. It can
// always read ours; so a bad request without a token was that of another
// client.
func (b *Backend) rejected(op operation, m *message) {
	if m.code == 0 {
		b.malformed.Add(1)
		return
	}
	if m.token == nil && m.code != 400 && m.code != 415 {
		m.token = b.pendingToken()
	}
	b.answered(op, m, func() answer {
		return answer{err: &shadow.Error{Code: int(m.code), Message: m.text}}
	})
}

// answered ends the pending request if a message has its token.
func (b *Backend) answered(op operation, m *message, result func() answer) {
	b.mu.Lock()
	p := b.pending
	if p == nil || p.op != op || p.token != string(m.token) {
		p = nil
		b.foreign.Add(1)
	} else {
		b.pending = nil
	}
	b.mu.Unlock()
	if p != nil {
		p.answer <- result()
	}
}

// pendingToken returns the token of the pending request, nil if there is none.
func (b *Backend) pendingToken() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending == nil {
		return nil
	}
	return []byte(b.pending.token)
}
