package aws

import (
	"bytes"
	"strings"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
)

// message is what the service sends under any of its topics. The slices belong
// to the payload. Members that the topic does not have are zero.
type message struct {
	token   []byte // decoded; nil if there is none
	state   []byte // JSON text; nil if there is none, or null
	version int64  // -1 if there is none
	code    int64
	text    string // of an error
}

// scanner reads the members of an object.
var scanner = mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}

// maxToken is the longest clientToken that AWS takes.
const maxToken = 64

// maxCode is the largest code of an error.
const maxCode = 999

// maxText bounds the text of an error.
const maxText = jsonrpc.MaxErrorText

// parse reads a payload. It reports false unless that is an object whose members
// have the right types and occur once. Unknown members are ignored.
func parse(payload []byte) (m message, ok bool) {
	m.version = -1
	if len(payload) > MaxPayload || !jsonrpc.Valid(payload) {
		return m, false
	}
	var seen uint8
	ok = eachMember(payload, func(name string, v mjson.Value) bool {
		bit, good := m.set(name, v)
		if !good || seen&bit != 0 {
			return false
		}
		seen |= bit
		return true
	})
	return m, ok
}

// set sets the member of a name. Each has a bit of its own; unknown ones, and
// null, which stands for nothing, have none.
func (m *message) set(name string, v mjson.Value) (bit uint8, ok bool) {
	if v.Type() == mjson.Null {
		return 0, true
	}
	switch name {
	case "clientToken":
		m.token, ok = v.AppendString([]byte{})
		return 1, ok && len(m.token) <= maxToken
	case "state":
		m.state, ok = object(v)
		return 2, ok
	case "version":
		m.version, ok = v.Int()
		return 4, ok && m.version >= 0
	case "code":
		m.code, ok = v.Int()
		return 8, ok && m.code >= 0 && m.code <= maxCode
	case "message":
		m.text, ok = v.Text()
		m.text = strings.ToValidUTF8(m.text[:min(len(m.text), maxText)], "")
		return 16, ok
	}
	return 0, true
}

// document reads the state of a get/accepted. The result is a copy.
func (m *message) document() (doc shadow.Document, ok bool) {
	if m.version < 0 {
		return doc, false
	}
	doc.Version = m.version
	if m.state == nil {
		return doc, true
	}
	var seen uint8
	ok = eachMember(m.state, func(name string, v mjson.Value) bool {
		var section *[]byte
		var bit uint8
		switch name {
		case "desired":
			section, bit = &doc.Desired, 1
		case "reported":
			section, bit = &doc.Reported, 2
		default:
			return true
		}
		text, good := object(v)
		*section = bytes.Clone(text)
		good = good && seen&bit == 0
		seen |= bit
		return good
	})
	return doc, ok
}

// object returns the text of an object, nil for null, and false for anything
// else.
func object(v mjson.Value) ([]byte, bool) {
	switch v.Type() {
	case mjson.Object:
		return v.Raw, true
	case mjson.Null:
		return nil, true
	}
	return nil, false
}

// eachMember calls f for each member of an object in a valid text, until it
// returns false. It reports false then, and if the text is no object.
func eachMember(text []byte, f func(name string, v mjson.Value) bool) bool {
	if bytes.TrimLeft(text, " \t\r\n")[0] != '{' {
		return false
	}
	for name, v := range scanner.Children(text) {
		var room [32]byte
		decoded := room[:0]
		if len(name.Raw) <= len(room) { // others are unknown
			decoded, _ = name.AppendString(decoded)
		}
		if !f(string(decoded), v) {
			return false
		}
	}
	return true
}
