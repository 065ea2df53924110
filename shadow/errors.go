package shadow

import (
	"errors"
	"strconv"
)

var (
	// ErrInvalid is returned for text that is not one JSON value, or is nested
	// deeper than jsonrpc.MaxDepth, 32.
	ErrInvalid = errors.New("shadow: not JSON, or nested too deep")
	// ErrNotObject is returned for a JSON value that is not an object where
	// one is needed.
	ErrNotObject = errors.New("shadow: not a JSON object")
	// ErrTooDeep is returned for a report nested deeper than the cloud takes.
	ErrTooDeep = errors.New("shadow: nested deeper than the cloud takes")
	// ErrTooLarge is returned for a report with a value larger than the cloud
	// takes, and for a document larger than [MaxDocument].
	ErrTooLarge = errors.New("shadow: too large")
	// ErrFull is returned for a report that the queue has no room for.
	ErrFull = errors.New("shadow: too many unsent reports")
	// ErrTimeout is what a [Backend] returns when the cloud did not answer.
	ErrTimeout = errors.New("shadow: the cloud did not answer")
)

// Error is a refusal by the cloud. Codes are those of HTTP, as AWS uses them for
// shadows: 400 bad request, 401, 403 not allowed, 404 no shadow, 409 version
// conflict, 413 too large, 415 not UTF-8, 429 too many requests, 500 internal.
type Error struct {
	Code    int
	Message string
}

// Error returns the message and the code.
func (e *Error) Error() string {
	return "shadow: " + e.Message + " (" + strconv.Itoa(e.Code) + ")"
}
