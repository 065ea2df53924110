package shadow

import "slices"

// The bounds of a [Syncer]'s memory, beside two documents.
const (
	// MaxDocument bounds each section of a document, and a delta, in bytes.
	MaxDocument = 128 << 10
	// MaxUnsent bounds the reports that the cloud has not taken yet, in bytes.
	MaxUnsent = 64 << 10

	maxReports   = 16        // reports that could not be made one
	maxDeltas    = 16        // deltas that wait
	maxDeltaSize = 256 << 10 // their bytes
)

// queue holds the reports that the cloud has not taken yet, the oldest first:
// one, unless there are some that cannot be made one.
type queue struct {
	patches [][]byte
	size    int // bytes of all patches
}

func (q *queue) empty() bool { return len(q.patches) == 0 }

// add queues a copy of a patch, and reports whether it became one with the last
// patch.
func (q *queue) add(patch []byte) (joined bool, err error) {
	last := len(q.patches) - 1
	if last >= 0 {
		// An error means that one of them is no object.
		if both, ok, err := Compose(q.patches[last], patch); ok && err == nil {
			size := q.size - len(q.patches[last]) + len(both)
			if size > MaxUnsent {
				return false, ErrFull
			}
			q.patches[last], q.size = both, size
			return true, nil
		}
	}
	if len(q.patches) >= maxReports || q.size+len(patch) > MaxUnsent {
		return false, ErrFull
	}
	q.push(len(q.patches), slices.Clone(patch))
	return false, nil
}

// push inserts a patch, which is kept.
func (q *queue) push(at int, patch []byte) {
	q.patches = slices.Insert(q.patches, at, patch)
	q.size += len(patch)
}

// take removes the first patch and returns it, or as much of it as fits in limit
// bytes; 0 is no limit.
func (q *queue) take(limit int) []byte {
	patch := q.pop()
	if limit <= 0 || len(patch) <= limit {
		return patch
	}
	// Every value fits, Report has checked that.
	parts, _ := Split(patch, func(part []byte) bool { return len(part) <= limit })
	if len(parts) == 0 {
		return patch
	}
	for i, p := range parts[1:] {
		q.push(i, p)
	}
	return parts[0]
}

// pop removes the first patch.
func (q *queue) pop() []byte {
	patch := q.patches[0]
	q.patches = slices.Delete(q.patches, 0, 1)
	if len(q.patches) == 0 {
		q.patches = nil
	}
	q.size -= len(patch)
	return patch
}

// putBack makes a patch that was taken the first one again.
func (q *queue) putBack(patch []byte) {
	if !q.empty() {
		if both, ok, err := Compose(patch, q.patches[0]); ok && err == nil {
			q.size += len(both) - len(q.patches[0])
			q.patches[0] = both
			return
		}
	}
	q.push(0, patch)
}

// applied returns the reported state as it will be when the queue is empty.
func (q *queue) applied(reported []byte) []byte {
	for _, p := range q.patches {
		if next, err := mergeObject(reported, p); err == nil {
			reported = next
		}
	}
	return reported
}

// mergeObject is Merge for sections of a document.
func mergeObject(target, patch []byte) ([]byte, error) {
	next, err := Merge(target, patch)
	if err == nil && next[0] != '{' {
		err = ErrNotObject
	}
	if err == nil && len(next) > MaxDocument {
		err = ErrTooLarge
	}
	return next, err
}

// inbox holds the deltas that have come, the oldest first.
type inbox struct {
	deltas []Delta
	size   int // bytes of all of them
}

// add adds a delta. To make room it drops old ones, and returns how many; the
// newest delta is always kept.
func (b *inbox) add(d Delta) (dropped int) {
	b.deltas = append(b.deltas, d)
	b.size += len(d.State)
	for len(b.deltas) > maxDeltas || len(b.deltas) > 1 && b.size > maxDeltaSize {
		b.pop()
		dropped++
	}
	return dropped
}

// pop removes the first delta.
func (b *inbox) pop() Delta {
	d := b.deltas[0]
	b.size -= len(d.State)
	if b.deltas = slices.Delete(b.deltas, 0, 1); len(b.deltas) == 0 {
		b.deltas = nil
	}
	return d
}
