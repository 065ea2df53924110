package main

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"
)

// step is a part of the tour. It returns what was looked at, and an error if that
// was not as it should be.
type step struct {
	title string
	run   func(ctx context.Context, r *rig) (seen string, err error)
}

// steps is the tour.
var steps = []step{
	{"discovery", discover},
	{"call Sum [2,3]", callSum},
	{"call what is not there", callNothing},
	{"RPC.List of a host", listMethods},
	{"publish", publish},
	{"subscribe", subscribe},
	{"desired state", desire},
	{"the same after a broker outage", outage},
	{"a delta longer than 255 bytes", longDelta},
	{"a noisy UART with CRC", noise},
}

// stepTime bounds a step.
const stepTime = 15 * time.Second

// tour takes one step after the other, until one fails.
func (r *rig) tour(ctx context.Context) error {
	for i, s := range r.steps {
		if r.shown.Load() != showNothing {
			r.d.out.printf("\n%s\n", r.d.paint(bold, fmt.Sprintf("%d. %s", i+1, s.title)))
		}
		seen, err := r.take(ctx, s)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.d.out.printf("%s %2d %s: %v\n", r.d.paint(red, "FAIL"), i+1, s.title, err)
			return fmt.Errorf("the tour ended at step %d, %s", i+1, s.title)
		}
		between := " "
		if w := r.d.out.width(); w > 0 && len("ok 10 : ")+len(s.title)+utf8.RuneCountInString(seen) > w {
			between = "\n      "
		}
		r.d.out.printf("%s %2d %s:%s%s\n", r.d.paint(green, "ok"), i+1, s.title, between, seen)
		if err := r.d.out.failed(); err != nil {
			return err
		}
	}
	return nil
}

// take takes one step.
func (r *rig) take(ctx context.Context, s step) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	return s.run(ctx, r)
}

// lookEvery is the time between two looks at something that is to happen.
const lookEvery = 5 * time.Millisecond

// eventually looks until there is no error. When ctx ends it returns the last one
// that says something.
func eventually(ctx context.Context, look func() error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var said error
	for {
		err := look()
		if err == nil {
			return nil
		}
		if said == nil || ctx.Err() == nil {
			said = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return said
		}
	}
}
