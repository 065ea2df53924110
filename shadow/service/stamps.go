package service

import (
	"encoding/binary"
	"strconv"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
)

// A section of a shadow is an object; what is in it and is not an object is a
// leaf. For each leaf the time of its last change is kept, in Unix seconds, which
// become the metadata. They are kept twice:
//
//   - While a shadow is changed, as stamps: the section with every leaf replaced
//     by its time. A merge patch of the section whose leaves are replaced by the
//     time of the change is a merge patch of the stamps, and both merges leave
//     the same members in the same order.
//   - While it is idle, as times: the times in the order of the leaves, equal
//     ones in a row taken together. A few bytes for most shadows.

// section is one half of a shadow.
type section struct {
	text  []byte // without white space; nil if the section is empty
	times []byte
}

// replaceLeaves appends an object with its leaves replaced by what leaf appends.
func replaceLeaves(dst, object []byte, leaf func(dst, value []byte) []byte) []byte {
	if len(object) == 0 || object[0] != '{' {
		return leaf(dst, object)
	}
	open := byte('{')
	for name, value := range mjson.Children(object) {
		dst = append(append(append(dst, open), name.Raw...), ':')
		dst = replaceLeaves(dst, value.Raw, leaf)
		open = ','
	}
	if open == '{' {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// patchStamps returns the stamps of a patch that is applied now. Null, which
// removes, stays.
func patchStamps(patch []byte, now int64) []byte {
	return replaceLeaves(nil, patch, func(dst, value []byte) []byte {
		if value[0] == 'n' {
			return append(dst, value...)
		}
		return strconv.AppendInt(dst, now, 10)
	})
}

// stamps returns the stamps of the section.
func (s section) stamps() []byte {
	next := iterate(s.times)
	return replaceLeaves(nil, s.text, func(dst, _ []byte) []byte { return strconv.AppendInt(dst, next(), 10) })
}

// changed returns the section after a merge patch, null of which clears it.
func (s section) changed(patch []byte, now int64) (section, error) {
	switch {
	case patch == nil:
		return s, nil
	case patch[0] == 'n':
		return section{}, nil
	case s.text == nil:
		s.text = []byte("{}")
	}
	text, err := shadow.Merge(s.text, patch)
	if err != nil || string(text) == "{}" {
		return section{}, err
	}
	stamps, err := shadow.Merge(s.stamps(), patchStamps(patch, now))
	return section{text, pack(stamps)}, err
}

// metadata appends the times as AWS shows them: the section with every value,
// also those inside arrays, replaced by {"timestamp":TIME}.
func (s section) metadata(dst []byte) []byte {
	next := iterate(s.times)
	return replaceLeaves(dst, s.text, func(dst, value []byte) []byte { return appendTimestamp(dst, value, next()) })
}

// patchMetadata appends the metadata of a patch that was applied now.
func patchMetadata(dst, patch []byte, now int64) []byte {
	return replaceLeaves(dst, patch, func(dst, value []byte) []byte { return appendTimestamp(dst, value, now) })
}

// partMetadata appends the metadata of a part of a section, such as a delta,
// given the stamps of the whole.
func partMetadata(dst, part, stamps []byte) []byte {
	if part[0] != '{' || len(stamps) == 0 || stamps[0] != '{' {
		at, _ := mjson.ParseInt(stamps)
		return appendTimestamp(dst, part, at)
	}
	whole := map[string][]byte{}
	for name, value := range mjson.Children(stamps) {
		key, _ := name.Text()
		whole[key] = value.Raw
	}
	open := byte('{')
	for name, value := range mjson.Children(part) {
		key, _ := name.Text()
		dst = append(append(append(dst, open), name.Raw...), ':')
		dst = partMetadata(dst, value.Raw, whole[key])
		open = ','
	}
	if open == '{' {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// appendTimestamp appends the metadata of a value all parts of which changed at
// the same time.
func appendTimestamp(dst, value []byte, at int64) []byte {
	switch value[0] {
	case '[':
		dst = append(dst, '[')
		for name, element := range mjson.Children(value) {
			if name.Index > 0 {
				dst = append(dst, ',')
			}
			dst = appendTimestamp(dst, element.Raw, at)
		}
		return append(dst, ']')
	case '{':
		return patchMetadata(dst, value, at)
	}
	dst = append(dst, `{"timestamp":`...)
	return append(strconv.AppendInt(dst, at, 10), '}')
}

// pack returns the times of stamps: pairs of a count and the difference to the
// time before, as varints.
func pack(stamps []byte) []byte {
	var times []byte
	count, before, at := uint64(0), int64(0), int64(0)
	flush := func() {
		if count > 0 {
			times = binary.AppendVarint(binary.AppendUvarint(times, count), at-before)
			before = at
		}
	}
	replaceLeaves(nil, stamps, func(dst, value []byte) []byte {
		if t, _ := mjson.ParseInt(value); count == 0 || t != at {
			flush()
			count, at = 0, t
		}
		count++
		return dst
	})
	flush()
	return times
}

// iterate returns a function that returns the times one after another, and 0
// after the last.
func iterate(times []byte) func() int64 {
	var count uint64
	var at int64
	return func() int64 {
		for count == 0 && len(times) > 0 {
			n, skip := binary.Uvarint(times)
			step, more := binary.Varint(times[skip:])
			count, at, times = n, at+step, times[skip+more:]
		}
		if count == 0 {
			return 0
		}
		count--
		return at
	}
}
