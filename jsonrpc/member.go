package jsonrpc

import (
	"bytes"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// member is a known member of a message.
type member uint8

const (
	otherMember member = iota
	idMember
	methodMember
	paramsMember
	resultMember
	errorMember
	members // how many there are
)

// The known keys with their quotes, as load8 reads them; id and error are
// shorter than eight bytes.
const (
	keyMethod = '"' | 'm'<<8 | 'e'<<16 | 't'<<24 | 'h'<<32 | 'o'<<40 | 'd'<<48 | '"'<<56
	keyParams = '"' | 'p'<<8 | 'a'<<16 | 'r'<<24 | 'a'<<32 | 'm'<<40 | 's'<<48 | '"'<<56
	keyResult = '"' | 'r'<<8 | 'e'<<16 | 's'<<24 | 'u'<<32 | 'l'<<40 | 't'<<48 | '"'<<56
	keyError  = '"' | 'e'<<8 | 'r'<<16 | 'r'<<24 | 'o'<<32 | 'r'<<40 | '"'<<48
	keyID     = '"' | 'i'<<8 | 'd'<<16 | '"'<<24
)

// skipMember passes the key of a member of the message, with its colon and
// white space, and tells which member it is; i may be the end of the text.
func skipMember(b []byte, i int) (int, member) {
	var x uint64
	if i >= 0 && i < len(b)-7 {
		x = load8(b, i)
	} else {
		x = lastWord(b, i)
	}
	which, n := otherMember, 8
	switch {
	case x&(1<<32-1) == keyID:
		which, n = idMember, 4
	case x == keyMethod:
		which = methodMember
	case x == keyParams:
		which = paramsMember
	case x == keyResult:
		which = resultMember
	case x&(1<<56-1) == keyError:
		which, n = errorMember, 7
	default:
		i, key := skipKey(b, skipSpace(b, i))
		if i >= 0 {
			which = memberOf(b[key.off:key.end])
		}
		return i, which
	}
	i += n
	if i+2 < len(b) && b[i] == ':' {
		if b[i+1] > ' ' {
			return i + 1, which
		}
		if b[i+1] == ' ' && b[i+2] > ' ' {
			return i + 2, which
		}
	}
	return skipColon(b, i), which
}

// memberOf returns which member a key, with its quotes, names. It may be
// spelled with escapes.
func memberOf(quoted []byte) member {
	if len(quoted) <= 8 {
		return memberNamed(quoted[1 : len(quoted)-1])
	}
	if len(quoted) > 2+6*len("params") || bytes.IndexByte(quoted, '\\') < 0 {
		return otherMember
	}
	var plain [2 + 6*len("params")]byte
	name, good := mjson.AppendUnquote(plain[:0], quoted)
	if !good {
		return otherMember
	}
	return memberNamed(name)
}

// memberNamed returns which member a decoded key names.
func memberNamed(name []byte) member {
	switch string(name) {
	case "id":
		return idMember
	case "method":
		return methodMember
	case "params":
		return paramsMember
	case "result":
		return resultMember
	case "error":
		return errorMember
	}
	return otherMember
}
