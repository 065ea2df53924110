package mjson

import (
	"errors"
	"strconv"
)

// ErrTruncated reports that text did not fit in a buffer.
var ErrTruncated = errors.New("mjson: text truncated")

// A FormatError tells which argument of [Appendf] could not be printed.
type FormatError struct {
	Verb   string // as in the package comment: "%d", "%.*Q"
	Offset int    // of the verb in the format
	Arg    int    // index of the argument in the list; its length if that is missing
	Reason string
}

// Error implements error.
func (e *FormatError) Error() string {
	return "mjson: format " + e.Verb + " at offset " + strconv.Itoa(e.Offset) +
		", argument " + strconv.Itoa(e.Arg) + ": " + e.Reason
}

// The reasons of a FormatError.
const (
	missing    = "missing argument"
	wrongType  = "argument has the wrong type"
	badLength  = "length is not an integer"
	beyondData = "length is beyond the data"
	badPrinter = "print function returned an impossible count"
)
