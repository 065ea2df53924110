package ccm

import (
	"bytes"
	"errors"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// What the C library mjson, which most hosts are built on, makes of JSON text
// (spec/security.md 8 and 9).
const (
	hostDepth    = mjson.DefaultMaxDepth - 1 // in the frame around it
	hostDigits   = 32                        // of a number; mjson takes time for more
	hostExponent = 308                       // mjson multiplies as often
)

var (
	errHostDepth  = errors.New("nested too deep for a host")
	errHostNumber = errors.New("a number is too long for a host")
	errHostText   = errors.New("not JSON that a host can read")
)

// hostText returns JSON text from elsewhere as a host can read it: characters stand
// for themselves, as mjson does not know \/ and all of \u. It is text itself if
// nothing has to be changed. Numbers that keep mjson busy, and what is nested too
// deep for it, are errors.
func hostText(text []byte) ([]byte, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var out []byte
	done, long := 0, false
	n, err := mjson.Scanner{MaxDepth: hostDepth}.Scan(text, func(ev mjson.Type, off, n int) bool {
		token := text[off : off+n]
		switch ev {
		case mjson.Number:
			long = !shortNumber(token)
		case mjson.String, mjson.Key:
			if s, ok := plainString(token); ok {
				out = mjson.AppendQuote(append(out, text[done:off]...), s)
				done = off + n
			}
		}
		return !long
	})
	switch {
	case long:
		return nil, errHostNumber
	case errors.Is(err, mjson.ErrDepth):
		return nil, errHostDepth
	case err != nil || n != len(bytes.TrimRight(text, " \t\r\n")):
		return nil, errHostText
	case done == 0:
		return text, nil
	}
	return append(out, text[done:]...), nil
}

// plainString returns the characters of a JSON string that has escapes which hosts
// do not know.
func plainString(quoted []byte) (string, bool) {
	if !bytes.Contains(quoted, []byte(`\u`)) && !bytes.Contains(quoted, []byte(`\/`)) {
		return "", false
	}
	s, ok := mjson.AppendUnquote(nil, quoted)
	return string(s), ok
}

// shortNumber reports whether a host reads a number in no time.
func shortNumber(number []byte) bool {
	digits, exponent := number, []byte(nil)
	if i := bytes.IndexAny(number, "eE"); i >= 0 {
		digits, exponent = number[:i], number[i+1:]
	}
	n := 0
	for _, c := range digits {
		if '0' <= c && c <= '9' {
			n++
		}
	}
	e := 0
	for _, c := range exponent {
		if '0' <= c && c <= '9' {
			e = min(10*e+int(c-'0'), hostExponent+1)
		}
	}
	return n <= hostDigits && e <= hostExponent
}
