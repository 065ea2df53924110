package aws

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/shadow"
)

// operation is what a request asks for: the part of its topic behind the prefix.
type operation string

const (
	get    operation = "/get"
	update operation = "/update"
)

// pending is a request that waits for its answer.
type pending struct {
	op     operation
	token  string
	answer chan answer // receives one value at most
}

// answer is what came for a request.
type answer struct {
	doc shadow.Document // of a get
	err error
}

// Get fetches the document. There being no shadow is no error.
func (b *Backend) Get(ctx context.Context) (shadow.Document, error) {
	doc, err := b.request(ctx, get, nil)
	if e, is := errors.AsType[*shadow.Error](err); is && e.Code == 404 {
		return shadow.Document{}, nil
	}
	return doc, err
}

// Report changes the reported state by a patch, which must be a JSON object. It
// never sends a version: only the device writes the reported state, so the last
// writer is right.
func (b *Backend) Report(ctx context.Context, patch []byte) error {
	if !jsonrpc.Valid(patch) {
		return shadow.ErrInvalid
	}
	if patch = bytes.TrimSpace(patch); patch[0] != '{' {
		return shadow.ErrNotObject // {"state":{"reported":null}} would remove all of it
	}
	_, err := b.request(ctx, update, patch)
	return err
}

// request sends a request and waits for its answer.
func (b *Backend) request(ctx context.Context, op operation, patch []byte) (shadow.Document, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, shadow.ErrTimeout)
	defer cancel()
	select {
	case b.slot <- struct{}{}:
		defer func() { <-b.slot }()
	case <-ctx.Done():
		return shadow.Document{}, context.Cause(ctx)
	}
	p := b.begin(op)
	defer b.end()
	err := b.transport.Publish(ctx, b.prefix+string(op), qos, appendRequest(nil, patch, p.token))
	if err == nil {
		select {
		case a := <-p.answer:
			return a.doc, a.err
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	select {
	case a := <-p.answer: // it came before the failure
		return a.doc, a.err
	default:
		return shadow.Document{}, timedOut(ctx, err)
	}
}

// appendRequest appends the payload of a request: an update of the reported
// state, or a get if patch is nil.
func appendRequest(dst, patch []byte, token string) []byte {
	dst = append(dst, '{')
	if patch != nil {
		dst = append(append(append(dst, `"state":{"reported":`...), patch...), `},`...)
	}
	return append(append(append(dst, `"clientToken":"`...), token...), `"}`...)
}

// begin notes a request, so that its answer is known when it comes.
func (b *Backend) begin(op operation) *pending {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	b.pending = &pending{op: op, token: b.token + strconv.FormatUint(b.count, 10), answer: make(chan answer, 1)}
	return b.pending
}

func (b *Backend) end() {
	b.mu.Lock()
	b.pending = nil
	b.mu.Unlock()
}

// timedOut returns the error of a transport, or that the time is over.
func timedOut(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, shadow.ErrTimeout) {
		return cause
	}
	return err
}
