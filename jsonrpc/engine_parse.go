package jsonrpc

import (
	"math"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// parseLenient reads a frame as mjson does: one value by its grammar, what
// follows is ignored, the first of equal members counts and keys are compared
// as they stand. It reports whether the frame begins with a complete value.
func (m *Message) parseLenient(frame []byte) bool {
	m.reset(frame)
	n, err := mjson.Scan(frame, nil)
	if err != nil || uint64(len(frame)) > math.MaxUint32 {
		return false
	}
	for name, val := range mjson.Children(frame[:n]) {
		if name.Raw == nil { // the frame is an array
			break
		}
		m.recordLenient(name.Raw[1:len(name.Raw)-1], val)
	}
	return true
}

// recordLenient keeps a member of the message unless it is there already.
func (m *Message) recordLenient(key []byte, val mjson.Value) {
	which := memberNamed(key)
	if which != otherMember && !m.has(which) {
		m.parts[which] = span{uint32(val.Offset), uint32(val.Offset + len(val.Raw))}
		m.more = m.more || which == paramsMember
	}
}

// methodIsString reports whether there is a method and it is a string.
func (m *Message) methodIsString() bool {
	return m.has(methodMember) && m.frame[m.parts[methodMember].off] == '"'
}
