package jsonrpc

import (
	"bytes"
	"math"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Parse reads one frame into m. The frame must be one JSON object in strict
// RFC 8259 text and valid UTF-8, nested no deeper than [MaxDepth], with nothing
// but white space around it. It must be a request, a notification or a
// response: the members id, method, params, result and error must not stand
// twice, the id must be a string or a number of at most [MaxID] bytes, and
// method must not stand beside result or error. An id of null is taken in
// responses only, where it means that there is none. Other members are
// ignored. The error, if any, is a [*ParseError].
//
// Parse goes over the frame once, allocates nothing for a good frame, and keeps
// a reference to frame in m.
func Parse(frame []byte, m *Message) error {
	if at, f := m.parse(frame); f != ok {
		return newParseError(f, at)
	}
	return nil
}

// parse is Parse without the error value. It returns the offset of the fault.
// A fault of shape is reported only if the text is JSON to its end; the parts
// found before a fault are kept for answerable.
func (m *Message) parse(frame []byte) (int, fault) {
	m.reset(frame)
	if uint64(len(frame)) > math.MaxUint32 {
		return 0, tooDeep
	}
	i := skipSpace(frame, 0)
	if i >= len(frame) {
		return i, truncated
	}
	if frame[i] != '{' {
		return i, notObject
	}
	i, at, shape, f := m.parseMembers(i + 1)
	if f != ok {
		return i, f
	}
	if i = skipSpace(frame, i); i < len(frame) {
		return i, trailing
	}
	if shape == ok {
		at, shape = i, m.classify()
	}
	return at, shape
}

// parseMembers passes the members of the message and its closing brace. It
// returns the first fault of shape, and its offset, apart from a fault of the
// text.
func (m *Message) parseMembers(i int) (next, shapeAt int, shape, f fault) {
	b := m.frame
	if i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if i < len(b) && b[i] == '}' {
		return i + 1, 0, ok, ok
	}
	var which member
	for more := true; more; {
		if i, which, f = skipMember(b, i); f != ok {
			return i, 0, ok, f
		}
		start := i
		plain := false // the value is a string without escapes
		switch {
		case which == paramsMember && !m.has(paramsMember):
			i, f = m.parseParams(i)
		case i < len(b) && b[i] == '"':
			if end := skipPlain(b, i+1); end != 0 {
				i, plain = end, true
			} else {
				i, f = skipString(b, i+1)
			}
		default:
			i, f = skipValue(b, i, 1)
		}
		if f != ok {
			return i, 0, ok, f
		}
		if which != otherMember {
			if sf := m.record(which, span{uint32(start), uint32(i)}, plain); sf != ok && shape == ok {
				shapeAt, shape = start, sf
			}
		}
		if i+2 < len(b) && b[i] == ',' {
			if i++; b[i] == ' ' {
				i++
			}
		} else if i, more, f = nextChild(b, i, '}'); f != ok {
			if which == idMember && b[start] != '"' {
				m.parts[idMember] = span{} // a number may have lost digits
			}
			return i, 0, ok, f
		}
	}
	return i, shapeAt, shape, ok
}

// nextChild passes what follows a child of a container: a comma, then more is
// true and the offset is that of the next child, or the closing bracket.
func nextChild(b []byte, i int, closer byte) (next int, more bool, f fault) {
	if i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if i >= len(b) {
		return i, false, truncated
	}
	switch b[i] {
	case ',':
		if i++; i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		return i, true, ok
	case closer:
		return i + 1, false, ok
	case '}', ']':
		return i, false, badBracket
	}
	return i, false, badSeparator
}

// record keeps a known member. plain tells that its value is a string without
// escapes.
func (m *Message) record(which member, s span, plain bool) fault {
	if m.has(which) {
		return duplicate
	}
	switch which {
	case idMember:
		// An id of null is judged when the kind is known.
		if c := m.frame[s.off]; c != 'n' && class[c] != classNumber && c != '"' {
			return badID
		}
		if s.end-s.off > MaxID {
			return longID
		}
	case methodMember:
		if m.frame[s.off] != '"' {
			return badMethod
		}
		m.parts[methodMember] = s
		if !plain {
			m.decodeMethod()
		}
		return ok
	}
	m.parts[which] = s
	return ok
}

// decodeMethod decodes a method that is spelled with escapes. It reports whether
// the name could be decoded; if not, it stays as it is spelled.
func (m *Message) decodeMethod() bool {
	raw := m.part(methodMember)
	if bytes.IndexByte(raw, '\\') < 0 {
		return true
	}
	m.name, m.escaped = mjson.AppendUnquote(m.name[:0], raw)
	return m.escaped
}

// classify sets the kind of a message whose text is sound.
func (m *Message) classify() fault {
	nullID := m.has(idMember) && m.frame[m.parts[idMember].off] == 'n'
	if nullID {
		m.parts[idMember] = span{}
	}
	answer := m.has(resultMember) || m.has(errorMember)
	switch {
	case m.has(methodMember) && answer:
		return bothKinds
	case answer:
		m.kind = KindResult
		if m.has(errorMember) && m.frame[m.parts[errorMember].off] != 'n' {
			m.kind = KindError
		}
	case !m.has(methodMember):
		return noKind
	case nullID:
		return badID
	case m.has(idMember):
		m.kind = KindCall
	default:
		m.kind = KindNotification
	}
	return ok
}

// parseParams passes the value of params and records its first children.
func (m *Message) parseParams(i int) (int, fault) {
	b := m.frame
	var closer byte
	switch {
	case i >= len(b):
		return i, truncated
	case b[i] == '{':
		closer = '}'
	case b[i] == '[':
		closer = ']'
	default:
		return skipValue(b, i, 1)
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == closer {
		return i + 1, ok
	}
	var f fault
	for more := true; more; {
		var a arg
		if closer == '}' {
			if i, a.key, f = skipKey(b, i); f != ok {
				return i, f
			}
		}
		start := i
		if i < len(b) && class[b[i]] == classNumber {
			i, f = skipNumber(b, i)
		} else {
			i, f = skipValue(b, i, 2)
		}
		if f != ok {
			return i, f
		}
		if m.nargs < maxArgs {
			a.val = span{uint32(start), uint32(i)}
			m.args[m.nargs] = a
			m.nargs++
		} else {
			m.more = true
		}
		if i+1 < len(b) && b[i] == ',' && b[i+1] > ' ' {
			i++
		} else if i, more, f = nextChild(b, i, closer); f != ok {
			return i, f
		}
	}
	return i, ok
}

// skipKey passes a key and its colon. The span is that of the key with its
// quotes.
func skipKey(b []byte, i int) (int, span, fault) {
	start := i
	if i >= len(b) {
		return i, span{}, truncated
	}
	if b[i] != '"' {
		return i, span{}, badKey
	}
	i, f := skipString(b, i+1)
	if f != ok {
		return i, span{}, f
	}
	s := span{uint32(start), uint32(i)}
	i, f = skipColon(b, i)
	return i, s, f
}
