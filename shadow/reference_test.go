package shadow_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"testing"
)

// The rules of shadow documents once more, over decoded values, to compare with.

type object = map[string]any

// decode returns the value of a text; numbers keep their digits.
func decode(t testing.TB, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func decodeObject(t testing.TB, text []byte) object {
	t.Helper()
	if text == nil {
		return object{}
	}
	return decode(t, text).(object)
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// clone returns a copy that shares no containers.
func clone(v any) any {
	switch v := v.(type) {
	case object:
		c := object{}
		for k, x := range v {
			c[k] = clone(x)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, x := range v {
			c[i] = clone(x)
		}
		return c
	}
	return v
}

func refMerge(target, patch any) any {
	p, is := patch.(object)
	if !is {
		return clone(patch)
	}
	out := object{}
	if t, is := target.(object); is {
		out = clone(t).(object)
	}
	for k, v := range p {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = refMerge(out[k], v)
		}
	}
	return out
}

func refDiff(desired, reported object) object {
	out := object{}
	for k, want := range desired {
		have := reported[k]
		w, wObject := want.(object)
		h, hObject := have.(object)
		switch {
		case want == nil:
		case wObject && hObject:
			if d := refDiff(w, h); len(d) > 0 {
				out[k] = d
			}
		case have == nil || !refEqual(want, have):
			out[k] = clone(want)
		}
	}
	return out
}

// refCompose composes patches, or reports false.
func refCompose(first, second object) (object, bool) {
	out := clone(first).(object)
	for k, v := range second {
		old, had := out[k]
		s, sObject := v.(object)
		f, fObject := old.(object)
		switch {
		case !had || !sObject:
			out[k] = clone(v)
		case !fObject:
			return nil, false
		default:
			both, ok := refCompose(f, s)
			if !ok {
				return nil, false
			}
			out[k] = both
		}
	}
	return out, true
}

func refEqual(a, b any) bool {
	switch a := a.(type) {
	case object:
		b, is := b.(object)
		if !is || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, has := b[k]; !has || !refEqual(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, is := b.([]any)
		if !is || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !refEqual(a[i], b[i]) {
				return false
			}
		}
		return true
	case json.Number:
		b, is := b.(json.Number)
		if !is {
			return false
		}
		x, okX := new(big.Rat).SetString(string(a))
		y, okY := new(big.Rat).SetString(string(b))
		return okX && okY && x.Cmp(y) == 0
	}
	return a == b
}
