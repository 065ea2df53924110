package service

import "context"

// turns lets one request at a time change the shadows of a thing and publish what
// comes of it, so that messages go out in the order of versions. Things share a
// turn with others. It is a channel because it is held while a disk and a broker
// are waited for.
type turns []chan struct{}

func newTurns(n int) turns {
	t := make(turns, n)
	for i := range t {
		t[i] = make(chan struct{}, 1)
	}
	return t
}

// of returns which turn a thing has: FNV-1a of its name.
func (t turns) of(thing string) int {
	h := uint32(2166136261)
	for _, c := range []byte(thing) {
		h = (h ^ uint32(c)) * 16777619
	}
	return int(h % uint32(len(t)))
}

// take waits for the turn of a thing and returns the function that ends it.
func (t turns) take(ctx context.Context, thing string) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := t[t.of(thing)]
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// try takes the turn of a thing if it is free.
func (t turns) try(thing string) (end func(), free bool) {
	c := t[t.of(thing)]
	select {
	case c <- struct{}{}:
		return func() { <-c }, true
	default:
		return nil, false
	}
}
