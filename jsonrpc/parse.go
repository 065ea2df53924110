package jsonrpc

import (
	"bytes"

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
	if len(frame) > MaxText {
		return MaxText, tooLong
	}
	i := 0
	if len(frame) == 0 || frame[0] != '{' {
		if i = skipSpace(frame, 0); i >= len(frame) {
			return i, truncated
		}
		if frame[i] != '{' {
			return i, notObject
		}
	}
	i, misshapen := m.parseMembers(i + 1)
	if i < 0 {
		return failed(i)
	}
	if i < len(frame) {
		if i = skipSpace(frame, i); i < len(frame) {
			return i, trailing
		}
	}
	if misshapen < 0 {
		return failed(misshapen)
	}
	return i, m.classify()
}

// parseMembers passes the members of the message and its closing brace. Apart
// from a fault of the text it returns the first fault of shape, or 0.
func (m *Message) parseMembers(i int) (next, misshapen int) {
	b := m.frame
	if i = skipSpace(b, i); i < len(b) && b[i] == '}' {
		return i + 1, 0
	}
	for more := true; ; {
		if i, more = m.usualMembers(i); !more {
			return i, misshapen
		}
		var which member
		if i, which = skipMember(b, i); i < 0 {
			return i, misshapen
		}
		start := i
		if i = m.parseValue(which, i); i < 0 {
			return i, misshapen
		}
		if f := m.record(which, start, i); f != ok && misshapen == 0 {
			misshapen = fail(start, f)
		}
		if i, more = nextChild(b, i, '}'); !more {
			if i < 0 && which == idMember && b[start] != '"' {
				m.parts[idMember] = span{} // a number may have lost digits
			}
			return i, misshapen
		}
	}
}

// usualMembers passes and records members of the message as long as they are
// spelled as hosts usually do: an id of one to seven digits that is followed by a
// comma, a method in plain ASCII, or params, each for the first time, with one
// space at most behind colons and commas. It returns the offset of the next
// member, to be read the long way, or more is false: then that was the last one,
// or what follows it is wrong.
func (m *Message) usualMembers(i int) (next int, more bool) {
	b := m.frame
	for i >= 0 && i < len(b)-13 {
		end := 0
		switch x := load8(b, i); {
		case x&(1<<40-1) == keyID|':'<<32:
			start := i + 5
			if byte(x>>40) == ' ' {
				start++
			}
			if start >= 0 && start < len(b)-7 {
				x = load8(b, start)
			}
			if n := shortNumber(x); n > 0 && byte(x>>(8*n)) == ',' && !m.has(idMember) {
				end = start + n
				m.parts[idMember] = span{uint32(start), uint32(end)}
			}
		case x == keyMethod && b[i+8] == ':':
			start := i + 9
			if b[start] == ' ' {
				start++
			}
			if b[start] == '"' && !m.has(methodMember) {
				if end = skipPlain(b, start+1); end > 0 {
					m.parts[methodMember] = span{uint32(start), uint32(end)}
				}
			}
		case x == keyParams && b[i+8] == ':':
			start := i + 9
			if b[start] == ' ' {
				start++
			}
			if !m.has(paramsMember) {
				if end = m.parseParams(start); end > 0 {
					m.parts[paramsMember] = span{uint32(start), uint32(end)}
				} else {
					m.nargs, m.more = 0, false
				}
			}
		}
		if end <= 0 {
			return i, true
		}
		switch i = end; {
		case i < len(b)-2 && b[i] == ',':
			if i++; b[i] == ' ' {
				i++
			}
		case i == len(b)-1 && b[i] == '}':
			return i + 1, false
		default:
			if i, more = nextChild(b, i, '}'); !more {
				return i, false
			}
		}
	}
	return i, true
}

// parseValue passes the value of a member.
func (m *Message) parseValue(which member, i int) int {
	if i < len(m.frame) && !m.has(which) {
		switch which {
		case paramsMember:
			return m.parseParams(i)
		case methodMember:
			end := skipValue(m.frame, i, 1)
			if end > 0 && m.frame[i] == '"' {
				m.decodeMethod(m.frame[i:end])
			}
			return end
		}
	}
	return skipValue(m.frame, i, 1)
}

// nextChild passes what follows a child of a container: a comma, then more is
// true and the offset is that of the next child, or the closing bracket.
func nextChild(b []byte, i int, closer byte) (next int, more bool) {
	if i = skipSpace(b, i); i >= len(b) {
		return fail(i, truncated), false
	}
	switch b[i] {
	case ',':
		return skipSpace(b, i+1), true
	case closer:
		return i + 1, false
	case '}', ']':
		return fail(i, badBracket), false
	}
	return fail(i, badSeparator), false
}

// record keeps a known member, whose value begins and ends at the offsets, unless
// there is one already or the value is of the wrong type.
func (m *Message) record(which member, start, end int) fault {
	if which == otherMember {
		return ok
	}
	if m.has(which) {
		return duplicate
	}
	switch c := m.frame[start]; which {
	case idMember:
		// An id of null is judged when the kind is known.
		if c-'0' > 9 && c != '"' && c != '-' && c != 'n' {
			return badID
		}
		if end-start > MaxID {
			return longID
		}
	case methodMember:
		if c != '"' {
			return badMethod
		}
	}
	m.parts[which] = span{uint32(start), uint32(end)}
	return ok
}

// decodeMethod decodes a method that is spelled with escapes, or may be. It
// reports whether the name could be decoded; if not, it stays as it is spelled.
func (m *Message) decodeMethod(quoted []byte) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return true
	}
	m.name, m.escaped = mjson.AppendUnquote(m.name[:0], quoted)
	return m.escaped
}

// classify sets the kind of a message whose text is sound.
func (m *Message) classify() fault {
	answer := m.has(resultMember) || m.has(errorMember)
	if m.has(methodMember) && !answer {
		switch {
		case !m.has(idMember):
			m.kind = KindNotification
		case m.nullID():
			return badID
		default:
			m.kind = KindCall
		}
		return ok
	}
	switch {
	case !answer:
		return noKind
	case m.has(methodMember):
		return bothKinds
	case m.has(errorMember) && m.frame[m.parts[errorMember].off] != 'n':
		m.kind = KindError
	default:
		m.kind = KindResult
	}
	if m.has(idMember) && m.nullID() {
		m.parts[idMember] = span{}
	}
	return ok
}

// nullID reports whether the id, which is there, is null.
func (m *Message) nullID() bool { return m.frame[m.parts[idMember].off] == 'n' }

// parseParams passes the value of params and records its first children.
func (m *Message) parseParams(i int) int {
	b := m.frame
	closer := b[i] + 2 // of both pairs of brackets
	if closer != '}' && closer != ']' {
		return skipValue(b, i, 1)
	}
	if i++; i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if i < len(b) && b[i] == closer {
		return i + 1
	}
	for {
		var key span
		if closer == '}' {
			if i, key = skipKey(b, i); i < 0 {
				return i
			}
		}
		start := i
		if i < len(b) && class[b[i]] == classNumber {
			i = skipNumber(b, i)
		} else if i < len(b) && b[i] == '"' {
			i = skipString(b, i+1)
		} else {
			i = skipValue(b, i, 2)
		}
		if i < 0 {
			return i
		}
		if n := m.nargs; n < maxArgs {
			a := &m.args[n]
			a.key, a.val = key, span{uint32(start), uint32(i)}
			m.nargs = n + 1
		} else {
			m.more = true
		}
		if i >= 0 && i < len(b)-2 && b[i] == ',' {
			if i++; b[i] == ' ' {
				i++
			}
			if b[i] <= ' ' {
				i = skipSpace(b, i)
			}
			continue
		}
		if i < len(b) && b[i] == closer {
			return i + 1
		}
		var more bool
		if i, more = nextChild(b, i, closer); !more {
			return i
		}
	}
}

// skipKey passes a key and its colon; i may be the end of the text. The span is
// that of the key with its quotes.
func skipKey(b []byte, i int) (int, span) {
	if i >= len(b) || b[i] != '"' {
		return failAt(b, i, badKey), span{}
	}
	end := skipString(b, i+1)
	if end < 0 {
		return end, span{}
	}
	key := span{uint32(i), uint32(end)}
	if end >= 0 && end < len(b)-2 && b[end] == ':' {
		if b[end+1] > ' ' {
			return end + 1, key
		}
		if b[end+1] == ' ' && b[end+2] > ' ' {
			return end + 2, key
		}
	}
	return skipColon(b, end), key
}
