package mjson

// Type tells what a piece of JSON text is. The values are the token codes of
// the C library, so they can be compared with recorded traces of it.
type Type byte

// The types of values. Array and Object are the ASCII code of their opening
// bracket.
const (
	Invalid Type = 0  // no value: not found, or not JSON
	String  Type = 11 // a string, quotes included in its raw text
	Number  Type = 12
	True    Type = 13
	False   Type = 14
	Null    Type = 15
	Array   Type = '[' // 91
	Object  Type = '{' // 123
)

// The types that occur only as events of [Scan]. An opening bracket is
// reported as [Array] or [Object].
const (
	Key       Type = 1   // the name of an object member, quotes included
	ArrayEnd  Type = ']' // 93
	ObjectEnd Type = '}' // 125
	Comma     Type = ',' // 44
	Colon     Type = ':' // 58
)

// String returns the name of the type in lower case, or the punctuation
// character of the types that exist only as events.
func (t Type) String() string {
	switch t {
	case Key:
		return "key"
	case String:
		return "string"
	case Number:
		return "number"
	case True:
		return "true"
	case False:
		return "false"
	case Null:
		return "null"
	case Array:
		return "array"
	case Object:
		return "object"
	case ArrayEnd:
		return "]"
	case ObjectEnd:
		return "}"
	case Comma:
		return ","
	case Colon:
		return ":"
	}
	return "invalid"
}

// valueTypes gives the type of the valid value that starts with a byte.
var valueTypes = [256]Type{
	'"': String, 't': True, 'f': False, 'n': Null, '[': Array, '{': Object, '-': Number,
	'0': Number, '1': Number, '2': Number, '3': Number, '4': Number,
	'5': Number, '6': Number, '7': Number, '8': Number, '9': Number,
}
