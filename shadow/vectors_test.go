package shadow_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/shadow"
)

// section returns the text of a section; null in a vector file means absent.
func section(text json.RawMessage) []byte {
	if string(text) == "null" {
		return nil
	}
	return text
}

func TestDeltaVectors(t *testing.T) {
	type row struct {
		ID                       string
		Desired, Reported, Delta json.RawMessage
	}
	vectors.Each(t, "shadow/delta.jsonl", 0, func(t *testing.T, r row) {
		got, err := shadow.Diff(section(r.Desired), section(r.Reported))
		if err != nil || !shadow.Equal(got, r.Delta) {
			t.Errorf("%s: Diff(%s, %s) = %s, %v, want %s", r.ID, r.Desired, r.Reported, got, err, r.Delta)
		}
		if direct, err := shadow.Diff(r.Desired, r.Reported); string(direct) != string(got) || err != nil {
			t.Errorf("%s: with null for an absent section: %s, %v", r.ID, direct, err)
		}
	})
}

func TestMergeVectors(t *testing.T) {
	type row struct {
		ID                    string
		Target, Patch, Result json.RawMessage
	}
	vectors.Each(t, "shadow/merge.jsonl", 0, func(t *testing.T, r row) {
		got, err := shadow.Merge(r.Target, r.Patch)
		if err != nil || !shadow.Equal(got, r.Result) {
			t.Errorf("%s: Merge(%s, %s) = %s, %v, want %s", r.ID, r.Target, r.Patch, got, err, r.Result)
		}
	})
}

func TestCoalesceVectors(t *testing.T) {
	type row struct {
		ID      string
		Reports []json.RawMessage
		Merged  json.RawMessage
	}
	vectors.Each(t, "shadow/coalesce.jsonl", 0, func(t *testing.T, r row) {
		both, ok := []byte(r.Reports[0]), true
		for _, report := range r.Reports[1:] {
			var err error
			both, ok, err = shadow.Compose(both, report)
			if err != nil && (ok || !errors.Is(err, shadow.ErrNotObject)) {
				t.Errorf("%s: %v", r.ID, err)
			}
			if !ok {
				break
			}
		}
		if ok != (string(r.Merged) != "null") || ok && !shadow.Equal(both, r.Merged) {
			t.Errorf("%s: Compose(%s) = %s, %v, want %s", r.ID, r.Reports, both, ok, r.Merged)
		}
	})
}
