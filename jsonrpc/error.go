package jsonrpc

import (
	"context"
	"errors"
	"strconv"
	"unicode/utf8"
)

// Error codes of JSON-RPC 2.0 (section 5.1), and those of this house. Handlers
// use these; a management door sends the numbers of [ManagementCode] instead.
const (
	CodeParseError     = -32700 // the text is not JSON
	CodeInvalidRequest = -32600 // JSON, but not a request
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternalError  = -32603

	CodeUnauthorized = 401 // login needed
	CodeDenied       = 403 // logged in, but not allowed
	CodeTooLarge     = 413 // a reply or a message is longer than the peer takes
	CodeBusy         = 429 // a queue is full; try again later
	CodeTimeout      = 504 // whoever should have answered did not
)

// MaxErrorText is the longest error message, in bytes, that is sent for a Go
// error; longer text is cut.
const MaxErrorText = 256

// Error is the error object of a reply: what a handler fails with, and what a
// call returns when the peer answered with an error.
type Error struct {
	Code    int
	Message string // plain text
	Data    []byte // JSON text, or nil
}

// Error returns the message and the code.
func (e *Error) Error() string {
	return "jsonrpc: " + e.Message + " (" + strconv.Itoa(e.Code) + ")"
}

// Is reports whether target is an *Error with the same code, so that
// errors.Is(err, jsonrpc.ErrMethodNotFound) holds for an answer of a peer.
func (e *Error) Is(target error) bool {
	t, same := target.(*Error)
	return same && t.Code == e.Code
}

// Errors to compare with, by errors.Is, and to answer with. Do not change them.
var (
	ErrMethodNotFound = &Error{Code: CodeMethodNotFound, Message: "method not found"}
	ErrInvalidParams  = &Error{Code: CodeInvalidParams, Message: "bad params"}
	ErrInternal       = &Error{Code: CodeInternalError, Message: "internal error"}
	ErrBusy           = &Error{Code: CodeBusy, Message: "busy"}
	ErrTimeout        = &Error{Code: CodeTimeout, Message: "timeout"}
)

var (
	// ErrClosed is returned by the methods of a [Conn] that has ended.
	ErrClosed = errors.New("jsonrpc: connection closed")
	// ErrTooLong is returned when a frame is longer than the peer takes.
	// Nothing was sent.
	ErrTooLong = errors.New("jsonrpc: frame longer than the peer takes")
	// ErrInvalidJSON is returned when the formatted params of a call are not
	// JSON. Nothing was sent.
	ErrInvalidJSON = errors.New("jsonrpc: the formatted params are not JSON")
	// ErrTrailingData is wrapped by the error of [Parse] when a complete
	// message is followed by more than white space.
	ErrTrailingData = errors.New("jsonrpc: data after the message")
)

// ParseError is the error of [Parse].
type ParseError struct {
	Code   int    // CodeParseError for text that is not JSON, else CodeInvalidRequest
	Offset int    // of the offending byte
	Reason string // what is wrong there
	fault  fault
}

// Error tells what is wrong and where.
func (e *ParseError) Error() string {
	return "jsonrpc: byte " + strconv.Itoa(e.Offset) + ": " + e.Reason
}

// Unwrap returns [ErrTrailingData] for a message that is followed by more.
func (e *ParseError) Unwrap() error {
	if e.fault == trailing {
		return ErrTrailingData
	}
	return nil
}

func newParseError(f fault, offset int) *ParseError {
	code := CodeParseError
	if f.shape() {
		code = CodeInvalidRequest
	}
	return &ParseError{Code: code, Offset: offset, Reason: faultText[f], fault: f}
}

// errorParts returns the code, the text and the data that answer a handler's
// error.
func errorParts(err error) (code int, text string, data []byte) {
	if e, is := errors.AsType[*Error](err); is {
		return e.Code, cut(e.Message), e.Data
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return CodeTimeout, ErrTimeout.Message, nil
	}
	return CodeInternalError, cut(err.Error()), nil
}

// cut shortens a text to MaxErrorText bytes, between characters.
func cut(s string) string {
	if len(s) <= MaxErrorText {
		return s
	}
	n := MaxErrorText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// ManagementCode translates the code of a handler into the dialect of the
// management doors (HTTP, WebSocket, MQTT, the mos tool), which use the numbers
// of Mongoose OS: 404 for a method that is not found, 400 for bad params, 500
// for an internal error. Other codes pass unchanged.
func ManagementCode(code int) int {
	switch code {
	case CodeMethodNotFound:
		return 404
	case CodeInvalidParams, CodeInvalidRequest, CodeParseError:
		return 400
	case CodeInternalError:
		return 500
	}
	return code
}
