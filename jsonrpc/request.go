package jsonrpc

import (
	"bytes"
	"iter"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// maxArgs is how many of the first children of params are recorded while
// parsing. Later ones are found by scanning on from there.
const maxArgs = 8

// arg is a child of params: its value, and its key, with the quotes, if params
// is an object.
type arg struct{ key, val span }

// Request is what a handler gets: a call or a notification. Slices that its
// methods return are read-only, clipped, and valid until the handler returns;
// [Request.Clone] makes a Request that lasts.
type Request struct {
	frame   []byte
	parts   [members]span
	escaped bool // the method is spelled with escapes: name holds it decoded
	more    bool // params has children beyond args
	nargs   uint8
	name    []byte
	args    [maxArgs]arg
}

// Method returns the name of the method, decoded.
func (r *Request) Method() []byte {
	if r.escaped {
		return r.name[:len(r.name):len(r.name)]
	}
	s := r.parts[methodMember]
	if !s.exists() {
		return nil
	}
	return r.frame[s.off+1 : s.end-1 : s.end-1]
}

// ID returns the JSON text of the id, to be echoed byte for byte, or nil for a
// notification.
func (r *Request) ID() []byte { return r.part(idMember) }

// IsNotification reports whether the request has no id, so that nothing will be
// answered.
func (r *Request) IsNotification() bool { return !r.has(idMember) }

// Params returns the JSON text of params, or nil.
func (r *Request) Params() []byte { return r.part(paramsMember) }

// Frame returns the whole frame.
func (r *Request) Frame() []byte { return r.frame[:len(r.frame):len(r.frame)] }

// Arg returns the child number i, from 0, of params: an element of an array or
// the value of a member of an object. The zero Value means that there is none.
// Its Offset counts from the beginning of params.
func (r *Request) Arg(i int) mjson.Value {
	if uint(i) < uint(r.nargs) {
		return r.value(r.args[i].val)
	}
	if i < 0 || !r.more {
		return mjson.Value{}
	}
	for name, v := range r.children() {
		if name.Index == i {
			return v
		}
	}
	return mjson.Value{}
}

// Param returns the member of params that has the key, or the zero Value. The
// first of several equal keys counts.
func (r *Request) Param(key string) mjson.Value {
	for i := range r.args[:r.nargs] {
		if a := &r.args[i]; a.key.exists() && keyIs(r.text(a.key), key) {
			return r.value(a.val)
		}
	}
	if !r.more {
		return mjson.Value{}
	}
	for name, v := range r.children() {
		if name.Raw != nil && keyIs(name.Raw, key) {
			return v
		}
	}
	return mjson.Value{}
}

// children returns an iterator over the children of params, for those that were
// not recorded.
func (r *Request) children() iter.Seq2[mjson.Name, mjson.Value] {
	return mjson.Scanner{MaxDepth: MaxDepth}.Children(r.Params())
}

// Clone returns a Request that does not share memory with r.
func (r *Request) Clone() *Request {
	c := new(Request)
	r.copyTo(c)
	return c
}

// copyTo makes d a copy of r that shares no memory with it. It reuses d's
// buffers.
func (r *Request) copyTo(d *Request) {
	frame, name := append(d.frame[:0], r.frame...), append(d.name[:0], r.name...)
	*d = *r
	d.frame, d.name = frame, name
}

func (r *Request) reset(frame []byte) {
	r.frame = frame
	r.parts = [members]span{}
	r.escaped, r.more, r.nargs = false, false, 0
}

// has reports whether a member is there.
func (r *Request) has(which member) bool { return r.parts[which].exists() }

// part returns the text of a member, or nil.
func (r *Request) part(which member) []byte { return r.text(r.parts[which]) }

// text returns a clipped part of the frame, or nil.
func (r *Request) text(s span) []byte {
	if !s.exists() {
		return nil
	}
	return r.frame[s.off:s.end:s.end]
}

// value returns a child of params.
func (r *Request) value(s span) mjson.Value {
	raw := r.text(s)
	return mjson.Value{Raw: raw, Offset: int(s.off - r.parts[paramsMember].off)}
}

// keyIs compares a key, as it stands in the frame with its quotes, with a
// decoded one.
func keyIs(quoted []byte, key string) bool {
	raw := quoted[1 : len(quoted)-1]
	if string(raw) == key {
		return true
	}
	if len(raw) <= len(key) || bytes.IndexByte(raw, '\\') < 0 {
		return false
	}
	var buf [64]byte
	dec, good := mjson.AppendUnquote(buf[:0], quoted)
	return good && string(dec) == key
}
