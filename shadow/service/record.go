package service

import (
	"slices"

	"github.com/ccmkit/ccmkit/shadow"
)

// record is a shadow as it is after one update. It is never changed: an update
// makes the next one.
type record struct {
	version           int64 // of a deleted one, the version it was deleted at
	updated           int64 // Unix time of the last change
	desired, reported section
	deleted           bool
}

// versionOf returns the version of a record; 0 without one.
func versionOf(r *record) int64 {
	if r == nil {
		return 0
	}
	return r.version
}

// exists reports whether there is a shadow, not just the memory of one.
func (r *record) exists() bool { return r != nil && !r.deleted }

// next returns the record after an update. The receiver may be nil.
func (r *record) next(req *request, now int64) (*record, error) {
	n := &record{version: versionOf(r) + 1, updated: now}
	if r.exists() {
		n.desired, n.reported = r.desired, r.reported
	}
	var err error
	if n.desired, err = n.desired.changed(req.desired, now); err != nil {
		return nil, err
	}
	if n.reported, err = n.reported.changed(req.reported, now); err != nil {
		return nil, err
	}
	n.compact()
	return n, nil
}

// tombstone returns the record of the shadow when it is deleted.
func (r *record) tombstone(now int64) *record {
	return &record{version: r.version, updated: now, deleted: true}
}

// size returns what counts against the limit of a document. Metadata do not.
func (r *record) size() int { return len(r.desired.text) + len(r.reported.text) }

// compact puts all text into one piece of memory without room to grow.
func (r *record) compact() {
	parts := []*[]byte{&r.desired.text, &r.reported.text, &r.desired.times, &r.reported.times}
	size := 0
	for _, p := range parts {
		size += len(*p)
	}
	all := make([]byte, 0, size)
	for _, p := range parts {
		if *p != nil {
			start := len(all)
			all = append(all, *p...)
			*p = slices.Clip(all[start:])
		}
	}
}

// delta returns what of the desired state differs from the reported one; nil if
// nothing does.
func (r *record) delta() ([]byte, error) {
	if r.desired.text == nil {
		return nil, nil
	}
	d, err := shadow.Diff(r.desired.text, r.reported.text)
	if err != nil || string(d) == "{}" {
		return nil, err
	}
	return d, nil
}
