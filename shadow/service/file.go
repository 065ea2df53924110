package service

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// A shadow is stored in one file, whose name is made of its names so that it
// suits every file system: lower-case letters only, because "A" and "a" may be
// the same file; no colon; no name that Windows keeps for devices; and at most
// 255 bytes, temporary files and broken ones included. Each name becomes
//
//	the name in lower case with = for the colon, a tilde, and the places of the
//	capitals: one hexadecimal digit for every four letters, its highest bit for
//	the first of them, zeros at the end left out
//
// so the classic shadow of the thing Lamp:1 is in "lamp=1~8.json", and its shadow
// "cfg" in "lamp=1~8.cfg~.json".
const fileSuffix = ".json"

// brokenSuffix is appended to the name of a file that is no shadow.
const brokenSuffix = ".broken"

// fileName returns the name of the file of a shadow, whose names are valid.
func (i id) fileName() string {
	file := encodeName(nil, i.thing)
	if i.name != "" {
		file = encodeName(append(file, '.'), i.name)
	}
	return string(file) + fileSuffix
}

// parseFileName returns the shadow that a file belongs to.
func parseFileName(file string) (i id, ok bool) {
	base, isShadow := strings.CutSuffix(file, fileSuffix)
	thing, name, named := strings.Cut(base, ".")
	i = id{decodeName(thing), decodeName(name)}
	ok = isShadow && named == (i.name != "") && i.valid() && i.fileName() == file
	return i, ok
}

const hexDigits = "0123456789abcdef"

func encodeName(dst []byte, name string) []byte {
	capitals := make([]byte, (len(name)+3)/4)
	for i, c := range []byte(name) {
		switch {
		case c == ':':
			c = '='
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
			capitals[i/4] |= 8 >> (i % 4)
		}
		dst = append(dst, c)
	}
	dst = append(dst, '~')
	for _, digit := range bytes.TrimRight(capitals, "\x00") {
		dst = append(dst, hexDigits[digit])
	}
	return dst
}

// decodeName is the reverse of encodeName. What was not made by encodeName gives
// some other name, or none.
func decodeName(file string) string {
	lower, capitals, _ := strings.Cut(file, "~")
	name := []byte(lower)
	for i, c := range name {
		switch {
		case c == '=':
			name[i] = ':'
		case isLetter(c) && i/4 < len(capitals) && strings.IndexByte(hexDigits, capitals[i/4])&(8>>(i%4)) != 0:
			name[i] -= 'a' - 'A'
		}
	}
	return string(name)
}

// encode returns the content of the file.
func (r *record) encode() []byte {
	dst := number(number([]byte("{"), "version", r.version), "timestamp", r.updated)
	if r.deleted {
		return append(dst, `,"deleted":true}`+"\n"...)
	}
	dst = member(dst, "state", r.state(nil))
	dst = append(key(dst, "stamps"), '{')
	if r.desired.text != nil {
		dst = member(dst, "desired", r.desired.stamps())
	}
	if r.reported.text != nil {
		dst = member(dst, "reported", r.reported.stamps())
	}
	return append(dst, "}}\n"...)
}

var errNoShadow = errors.New("service: the file does not hold a shadow")

// decodeRecord reads the content of a file. Stamps that do not fit the state, as
// after a change by hand, are replaced by the time of the last update.
func decodeRecord(data []byte) (*record, error) {
	if checkJSON(data) != nil {
		return nil, errNoShadow
	}
	r := &record{}
	var state, stamps mjson.Value
	good := true
	for name, value := range (mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}).Children(data) {
		is := true
		switch k, _ := name.Text(); k {
		case "version":
			r.version, is = value.Int()
		case "timestamp":
			r.updated, is = value.Int()
		case "deleted":
			r.deleted, is = value.Bool()
		case "state":
			state = value
		case "stamps":
			stamps = value
		}
		good = good && is
	}
	if !good || r.version < 1 || r.deleted == (state.Type() == mjson.Object) {
		return nil, errNoShadow
	}
	if r.deleted {
		return r, nil
	}
	var q, t request
	if q.setState(state) != nil {
		return nil, errNoShadow
	}
	if t.setState(stamps) != nil {
		t = request{}
	}
	r.desired = newSection(q.desired, t.desired, r.updated)
	r.reported = newSection(q.reported, t.reported, r.updated)
	r.compact()
	return r, nil
}

// newSection returns the section with a text and its stamps.
func newSection(text, stamps []byte, updated int64) section {
	s, err := section{}.changed(text, updated) // without members that stand twice
	if err != nil {
		return section{}
	}
	zero := func(dst, _ []byte) []byte { return append(dst, '0') }
	if stamps != nil && slices.Equal(replaceLeaves(nil, s.text, zero), replaceLeaves(nil, stamps, zero)) {
		s.times = pack(stamps)
	}
	return s
}
