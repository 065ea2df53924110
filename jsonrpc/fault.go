package jsonrpc

// fault says what is wrong with a text. It is a byte so that the scanners can
// return it in a register; it becomes a [ParseError] where it leaves the
// package.
type fault uint8

const (
	ok fault = iota
	truncated
	badValue
	badSeparator
	badBracket
	badKey
	badColon
	badControl
	badUTF8
	badEscape
	badNumber
	tooDeep
	tooLong
	notObject
	trailing
	duplicate
	badID
	longID
	badMethod
	bothKinds
	noKind
)

var faultText = [...]string{
	ok:           "no fault",
	truncated:    "the text ends inside a value",
	badValue:     "no value begins here",
	badSeparator: "a comma or a closing bracket must follow a value",
	badBracket:   "the closing bracket does not match",
	badKey:       "an object key must be a string",
	badColon:     "a colon must follow an object key",
	badControl:   "raw control character in a string",
	badUTF8:      "invalid UTF-8",
	badEscape:    "invalid escape sequence",
	badNumber:    "malformed number",
	tooDeep:      "nested too deep",
	tooLong:      "the text is too long",
	notObject:    "a message must be an object",
	trailing:     "data after the message",
	duplicate:    "duplicate member",
	badID:        "the id must be a string or a number",
	longID:       "the id is too long",
	badMethod:    "the method must be a string",
	bothKinds:    "a message is either a request or a response",
	noKind:       "neither method nor result nor error",
}

// shape reports whether the text may be JSON and only not be a message: wrong
// members, or beyond a limit.
func (f fault) shape() bool {
	return f >= duplicate || f == notObject || f == tooDeep || f == tooLong
}
