package shadow_test

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
)

// source makes random documents that have much in common with each other: few
// names, few values, all that is difficult.
type source struct {
	*rand.Rand
	depth int // of the objects it makes
}

func newSource(seed int) *source {
	return &source{Rand: rand.New(rand.NewPCG(uint64(seed), 7)), depth: 6}
}

var sourceNames = []string{"a", "b", "on", "", "a.b", "é", "😀", "*", "~/", "\"\\", "name"}

// name returns one of a few names.
func (r *source) name() string { return sourceNames[r.IntN(len(sourceNames))] }

// object returns an object in which as many levels of objects may be.
func (r *source) object(depth int, nulls bool) object {
	out := object{}
	for range r.IntN(5) {
		out[r.name()] = r.value(depth-1, nulls)
	}
	return out
}

// value returns any value.
func (r *source) value(depth int, nulls bool) any {
	switch n := r.IntN(10); {
	case n == 0 && nulls:
		return nil
	case n <= 3 && depth > 0:
		return r.object(depth, nulls)
	case n == 4 && depth > 0:
		list := make([]any, r.IntN(3))
		for i := range list {
			list[i] = r.value(depth-1, false)
		}
		return list
	}
	return r.scalar()
}

func (r *source) scalar() any {
	switch r.IntN(6) {
	case 0:
		return r.IntN(2) == 0
	case 1:
		return [...]string{"", "x", "é", "é", "line\n", "\"", "😀"}[r.IntN(7)]
	case 2:
		return json.Number([...]string{"9007199254740993", "9007199254740992", "1e2", "100", "-0", "0", "0.10"}[r.IntN(7)])
	}
	return json.Number(strconv.Itoa(r.IntN(4)))
}
