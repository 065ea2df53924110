package mjson

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrTruncated reports that text did not fit in a buffer.
var ErrTruncated = errors.New("mjson: text truncated")

// A FormatError tells where the format and the arguments of [Appendf] do not
// fit: an argument that could not be printed, an unknown verb, or arguments
// beyond those of the last verb.
type FormatError struct {
	Verb   string // as in the package comment: "%d", "%.*Q"; empty for arguments left over
	Offset int    // of the verb in the format; its length for arguments left over
	Arg    int    // index of the argument; the number of arguments if it is missing, -1 for an unknown verb
	Reason string // what was wanted, such as "want an integer"
}

// Error implements error.
func (e *FormatError) Error() string {
	text := "mjson: format"
	if e.Verb != "" {
		text += " " + e.Verb + " at offset " + strconv.Itoa(e.Offset)
	}
	if e.Arg >= 0 {
		text += ", argument " + strconv.Itoa(e.Arg)
	}
	return text + ": " + e.Reason
}

// The reasons of a FormatError.
const (
	missing     = "missing argument"
	wantInteger = "want an integer"
	wantNumber  = "want a number"
	wantBool    = "want a bool"
	wantText    = "want a string or []byte"
	wantPrinter = "want a PrintFunc"
	beyondData  = "length is beyond the data"
	badPrinter  = "print function returned an impossible count"
	unknownVerb = "unknown verb"
	noVerb      = "no verb after the percent sign"
	surplus     = "more arguments than verbs"

	// convert is added if no verb takes the type of the argument.
	convert = "; convert named types"
)

// err returns the fault as an error, nil if there is none.
func (f *formatter) err(format string, args int) error {
	switch {
	case f.fault == "" && f.next < args:
		return &FormatError{Offset: len(format), Arg: f.next, Reason: surplus}
	case f.fault == "":
		return nil
	case f.fault == unknownVerb || f.fault == noVerb:
		return &FormatError{Verb: verbText(format[f.faultAt:]), Offset: f.faultAt, Arg: -1, Reason: f.fault}
	}
	e := &FormatError{Verb: f.faultVerb, Offset: f.faultAt, Arg: f.faultArg, Reason: f.fault}
	if f.foreign {
		e.Reason += convert
	}
	return e
}

// verbText returns a copy of the unknown verb at the start of s: the percent
// sign, an l, and one character.
func verbText(s string) string {
	n := 1
	if len(s) > 2 && s[1] == 'l' {
		n++
	}
	_, size := utf8.DecodeRuneInString(s[n:])
	return strings.Clone(strings.ToValidUTF8(s[:n+size], "\uFFFD"))
}
