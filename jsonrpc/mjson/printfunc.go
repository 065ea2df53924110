package mjson

import (
	"bytes"
	"strings"
)

// A PrintFunc is the argument of %M: it appends what it wants to dst, and
// returns the result and how many of args it used. args are the arguments that
// follow the function in the list of [Appendf]; formatting goes on with the
// first one not used.
//
// The function gets an empty dst and copies of the arguments, both of which it
// may keep. Arguments of types that Appendf does not take, print functions too,
// arrive as nil: a function that needs something else has it as a closure. A
// count below zero or beyond the number of arguments is an error.
type PrintFunc func(dst []byte, args []any) (out []byte, used int)

// custom prints %M.
func (f *formatter) custom(dst []byte, args []any) []byte {
	a, given := f.take(args)
	if !given {
		return f.fail(dst, "%M", missing)
	}
	var fn PrintFunc
	switch a := a.(type) {
	case PrintFunc:
		fn = a
	case func([]byte, []any) ([]byte, int):
		fn = a
	}
	if fn == nil {
		return f.unfit(dst, "%M", wantPrinter, a)
	}
	// The compiler must assume that a function it does not know keeps what it
	// is given. It gets nothing of the caller's, so that arguments and buffers
	// of all other calls can stay on the stack.
	rest := cloneArgs(args[f.next:])
	out, used := fn(nil, rest)
	if used < 0 || used > len(rest) {
		f.note("%M", badPrinter)
		used = max(0, min(used, len(rest)))
	}
	f.next += used
	return append(dst, out...)
}

// cloneArgs copies arguments in depth.
func cloneArgs(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case int:
			out[i] = a
		case int8:
			out[i] = a
		case int16:
			out[i] = a
		case int32:
			out[i] = a
		case int64:
			out[i] = a
		case uint:
			out[i] = a
		case uint8:
			out[i] = a
		case uint16:
			out[i] = a
		case uint32:
			out[i] = a
		case uint64:
			out[i] = a
		case uintptr:
			out[i] = a
		case float32:
			out[i] = a
		case float64:
			out[i] = a
		case bool:
			out[i] = a
		case string:
			out[i] = strings.Clone(a)
		case []byte:
			out[i] = bytes.Clone(a)
		}
	}
	return out
}
