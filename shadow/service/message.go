package service

import (
	"strconv"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
)

// maxMessage is the longest payload, in bytes, that is published. A message
// that would be longer goes without metadata: arrays of many small numbers have
// metadata a dozen times their own size.
const maxMessage = 127 << 10

// message returns a payload with a state: that of get/accepted, update/accepted
// or update/delta. metadata appends the metadata.
func message(state []byte, metadata func(dst []byte) []byte, version, now int64, token []byte) []byte {
	return fit(func(full bool) []byte {
		dst := member([]byte("{"), "state", state)
		if full {
			dst = metadata(key(dst, "metadata"))
		}
		dst = number(dst, "version", version)
		return end(dst, now, token)
	})
}

// document returns the payload of get/accepted.
func (r *record) document(delta []byte, now int64, token []byte) []byte {
	return message(r.state(delta), r.metadata, r.version, now, token)
}

// accepted returns the payload of update/accepted for the request that made the
// record.
func (r *record) accepted(req *request) []byte {
	metadata := func(dst []byte) []byte { return req.metadata(dst, r.updated) }
	return message(req.state, metadata, r.version, r.updated, req.token)
}

// difference returns the payload of update/delta.
func (r *record) difference(delta []byte, now int64, token []byte) []byte {
	metadata := func(dst []byte) []byte { return partMetadata(dst, delta, r.desired.stamps()) }
	return message(delta, metadata, r.version, now, token)
}

// documents returns the payload of update/documents. The record before may be
// nil.
func (r *record) documents(before *record, token []byte) []byte {
	if !before.exists() {
		before = &record{version: versionOf(before)}
	}
	return fit(func(full bool) []byte {
		dst := before.appendDocument(key([]byte("{"), "previous"), full)
		dst = r.appendDocument(key(dst, "current"), full)
		return end(dst, r.updated, token)
	})
}

// deletion returns the payload of delete/accepted.
func (r *record) deletion(token []byte) []byte {
	return end(number([]byte("{"), "version", r.version), r.updated, token)
}

// rejection returns the payload of a refusal.
func rejection(e *shadow.Error, now int64, token []byte) []byte {
	dst := number([]byte("{"), "code", int64(e.Code))
	return end(mjson.AppendQuote(key(dst, "message"), e.Message), now, token)
}

// appendDocument appends one of the documents of update/documents.
func (r *record) appendDocument(dst []byte, full bool) []byte {
	dst = member(append(dst, '{'), "state", r.state(nil))
	if full {
		dst = r.metadata(key(dst, "metadata"))
	}
	return append(number(dst, "version", r.version), '}')
}

// state returns the state. Sections that are empty are left out.
func (r *record) state(delta []byte) []byte {
	dst := make([]byte, 0, r.size()+len(delta)+64)
	dst = member(append(dst, '{'), "desired", r.desired.text)
	dst = member(dst, "reported", r.reported.text)
	return append(member(dst, "delta", delta), '}')
}

// metadata appends the metadata of the whole record.
func (r *record) metadata(dst []byte) []byte {
	dst = append(dst, '{')
	if r.desired.text != nil {
		dst = r.desired.metadata(key(dst, "desired"))
	}
	if r.reported.text != nil {
		dst = r.reported.metadata(key(dst, "reported"))
	}
	return append(dst, '}')
}

// metadata appends the metadata of what the request touches.
func (q *request) metadata(dst []byte, now int64) []byte {
	dst = append(dst, '{')
	if q.desired != nil && q.desired[0] == '{' {
		dst = patchMetadata(key(dst, "desired"), q.desired, now)
	}
	if q.reported != nil && q.reported[0] == '{' {
		dst = patchMetadata(key(dst, "reported"), q.reported, now)
	}
	return append(dst, '}')
}

// fit builds a message with metadata, or without if it is too long.
func fit(build func(metadata bool) []byte) []byte {
	if m := build(true); len(m) <= maxMessage {
		return m
	}
	return build(false)
}

// end appends the last members of a message and its closing brace.
func end(dst []byte, now int64, token []byte) []byte {
	return append(member(number(dst, "timestamp", now), "clientToken", token), '}')
}

// key appends the name of the next member of an object that is being written.
func key(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), `":`...)
}

// member appends a member unless its value is nil.
func member(dst []byte, name string, value []byte) []byte {
	if value == nil {
		return dst
	}
	return append(key(dst, name), value...)
}

// number appends a member that is an integer.
func number(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(key(dst, name), n, 10)
}
