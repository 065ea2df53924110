package mjson

import (
	"math/bits"
	"strconv"
)

// A Printer formats like [Appendf], with the choices of its fields. The zero
// value is what Appendf uses. A Printer holds no state: it may be copied and
// used by several goroutines.
type Printer struct {
	// EscapeSlash makes %Q and %.*Q write '/' as \/, as the C library did
	// until October 2019.
	EscapeSlash bool
}

// Appendf appends text formatted by the verbs of mjson_printf (see the package
// comment) to dst. See [Printer.Appendf].
func Appendf(dst []byte, format string, args ...any) ([]byte, error) {
	return Printer{}.Appendf(dst, format, args...)
}

// Appendf appends text formatted by the verbs of mjson_printf (see the package
// comment) to dst.
//
// If an argument is missing or has the wrong type, null is printed in its place
// and formatting goes on; the result is then complete but for that. An unknown
// verb prints nothing, and arguments left over are not used. The error, a
// [*FormatError], tells about the first of these; if there are none it is nil.
// Appendf never panics by itself.
//
// Arguments of the types int, int8 to int64, uint, uint8 to uint64, float32,
// float64, bool, string, []byte and nil are taken; convert named types. None is
// kept, and none of them escapes: formatting allocates only to grow dst, and
// for %M.
func (p Printer) Appendf(dst []byte, format string, args ...any) ([]byte, error) {
	// Text and integers first, which need no state.
	i, next := 0, 0
	for i < len(format) {
		text := i
		for i < len(format) && format[i] != '%' {
			i++
		}
		if i > text {
			dst = append(dst, format[text:i]...)
		}
		if i+1 >= len(format) || format[i+1] != 'd' || next >= len(args) {
			break
		}
		switch v := args[next].(type) {
		case int:
			dst = appendInt(dst, int64(v))
		case int64:
			dst = appendInt(dst, v)
		default:
			return p.appendf(dst, format, i, next, args)
		}
		next++
		i += 2
	}
	if i == len(format) && next == len(args) {
		return dst, nil
	}
	return p.appendf(dst, format, i, next, args)
}

// appendInt appends v in decimal. Up to four digits, which is what devices mostly
// say, come without a branch: as the bytes of one word, the first digit lowest.
func appendInt(dst []byte, v int64) []byte {
	if uint64(v) > 9999 || cap(dst)-len(dst) < 4 {
		return strconv.AppendInt(dst, v, 10)
	}
	u := uint32(v)
	high, low := u/100, u%100
	x := high/10 | high%10<<8 | low/10<<16 | low%10<<24
	zeros := bits.TrailingZeros32(x|1<<24) &^ 7 // of the leading zeros; one digit stays
	x = (x | '0'*0x01010101) >> zeros
	end := len(dst) + 4 - zeros/8
	return append(dst, byte(x), byte(x>>8), byte(x>>16), byte(x>>24))[:end]
}

// appendf is Appendf from offset i of the format and from args[next] on.
func (p Printer) appendf(dst []byte, format string, i, next int, args []any) ([]byte, error) {
	f := formatter{slash: p.EscapeSlash, next: next}
	for i < len(format) {
		text := i
		for i < len(format) && format[i] != '%' {
			i++
		}
		dst = append(dst, format[text:i]...)
		if i < len(format) {
			var n int
			f.at = i
			dst, n = f.verb(dst, args, format[i+1:])
			i += 1 + n
		}
	}
	return dst, f.err(format, len(args))
}

// Snprintf formats into buf as mjson_snprintf does: it stores at most
// len(buf)-1 bytes and a NUL after them, and returns the number of bytes stored
// without the NUL. An empty buf takes nothing. If the text did not fit, the
// error is [ErrTruncated]; otherwise it is as for [Appendf].
func Snprintf(buf []byte, format string, args ...any) (int, error) {
	return Printer{}.Snprintf(buf, format, args...)
}

// Snprintf is the function [Snprintf] with the choices of p.
func (p Printer) Snprintf(buf []byte, format string, args ...any) (int, error) {
	out, err := p.Appendf(buf[:0:len(buf)], format, args...)
	if len(buf) == 0 {
		if len(out) > 0 && err == nil {
			err = ErrTruncated
		}
		return 0, err
	}
	n := copy(buf[:len(buf)-1], out)
	if n < len(out) {
		err = ErrTruncated
	}
	buf[n] = 0
	return n, err
}

// formatter is the state of one Appendf. It does not hold the buffer and the
// arguments: what is stored through a pointer counts as kept, and would have to
// be on the heap.
type formatter struct {
	next  int // argument to take
	at    int // offset in the format of the verb being printed
	slash bool

	// The first fault. They are kept apart so that the error is made only if
	// there is one.
	fault     string
	faultVerb string
	faultAt   int
	faultArg  int
	foreign   bool // the argument has a type that no verb takes
}

// fail prints null in place of the argument before next and notes the fault.
func (f *formatter) fail(dst []byte, verb, reason string) []byte {
	f.note(verb, reason)
	return append(dst, "null"...)
}

// unfit is fail for an argument a that is not what the verb wants.
func (f *formatter) unfit(dst []byte, verb, want string, a any) []byte {
	if f.fault == "" {
		f.foreign = !taken(a)
	}
	return f.fail(dst, verb, want)
}

// note records a fault of the argument before next.
func (f *formatter) note(verb, reason string) {
	if f.fault == "" {
		f.fault, f.faultVerb, f.faultAt, f.faultArg = reason, verb, f.at, f.next-1
	}
}

// take returns the next argument. It reports false if there is none.
func (f *formatter) take(args []any) (any, bool) {
	f.next++
	if f.next > len(args) {
		return nil, false
	}
	return args[f.next-1], true
}

// verb prints the verb whose text after the percent sign starts at s, and
// returns how much of s it is.
func (f *formatter) verb(dst []byte, args []any, s string) ([]byte, int) {
	switch {
	case s == "":
		f.note("", noVerb)
		return dst, 0
	case s[0] == '.':
		return f.starVerb(dst, args, s)
	case s[0] != 'l' || len(s) == 1:
		return f.letter(dst, args, s[0]), 1
	case s[1] == 'd':
		return f.integer(dst, args, "%ld", true, true), 2
	case s[1] == 'u':
		return f.integer(dst, args, "%lu", false, true), 2
	}
	// Other verbs with an l are unknown, but print something as in C: the verb
	// without the l, and then its letter. %lQ prints what %QQ does.
	f.note("", unknownVerb)
	return f.letter(dst, args, s[1]), 1
}

// letter prints the verb that is the single letter c. An unknown one takes no
// argument and prints nothing.
func (f *formatter) letter(dst []byte, args []any, c byte) []byte {
	switch c {
	case 'd':
		return f.integer(dst, args, "%d", true, false)
	case 'u':
		return f.integer(dst, args, "%u", false, false)
	case 'g':
		return f.float(dst, args, "%g", 6)
	case 'B':
		return f.boolean(dst, args)
	case 's':
		return f.text(dst, args, "%s", false)
	case 'Q':
		return f.text(dst, args, "%Q", true)
	case 'V':
		return f.coded(dst, args, "%V")
	case 'H':
		return f.coded(dst, args, "%H")
	case 'M':
		return f.custom(dst, args)
	}
	f.note("", unknownVerb)
	return dst
}

// starVerb prints %.*g, %.*s and %.*Q.
func (f *formatter) starVerb(dst []byte, args []any, s string) ([]byte, int) {
	if len(s) < 3 || s[1] != '*' {
		f.note("", unknownVerb)
		return dst, 1
	}
	switch s[2] {
	case 'g':
		return f.preciseFloat(dst, args), 3
	case 's':
		return f.sized(dst, args, "%.*s", false), 3
	case 'Q':
		return f.sized(dst, args, "%.*Q", true), 3
	}
	f.note("", unknownVerb)
	return dst, 1
}
