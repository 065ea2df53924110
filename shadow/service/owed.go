package service

import (
	"context"
	"sync"
	"time"
)

// owed are the shadows whose last messages may not have been published: a device
// that is connected would not learn that its desired state has changed.
type owed struct {
	wake chan struct{} // there is one

	mu  sync.Mutex
	ids map[id]bool // guarded by mu
}

func newOwed() owed {
	return owed{wake: make(chan struct{}, 1), ids: map[id]bool{}}
}

// add remembers a shadow.
func (o *owed) add(i id) {
	o.mu.Lock()
	o.ids[i] = true
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// drop forgets a shadow.
func (o *owed) drop(i id) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.ids, i)
}

// pop forgets one of the shadows and returns it.
func (o *owed) pop() (i id, any bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.ids {
		delete(o.ids, i)
		return i, true
	}
	return id{}, false
}

// settle publishes what is owed, again and again until ctx ends.
func (s *Service) settle(ctx context.Context) {
	for pause := firstPause; ; {
		select {
		case <-s.owed.wake:
		case <-ctx.Done():
			return
		}
		sleep(ctx, pause)
		pause = min(2*pause, lastPause)
		if s.settleAll(ctx) {
			pause = firstPause
		}
	}
}

// settleAll publishes what is owed until something cannot be published.
func (s *Service) settleAll(ctx context.Context) bool {
	for {
		i, any := s.owed.pop()
		if !any {
			return true
		}
		if s.publishDelta(ctx, i) != nil {
			s.owed.add(i)
			return false
		}
	}
}

// publishDelta publishes the difference that a shadow has now, if any.
func (s *Service) publishDelta(ctx context.Context, i id) error {
	endTurn, err := s.turns.take(ctx, i.thing)
	if err != nil {
		return err
	}
	defer endTurn()
	r := s.table.get(i)
	if !r.exists() {
		return nil
	}
	delta, err := r.delta()
	if err != nil || delta == nil {
		return nil
	}
	return s.publish(ctx, i, publication{i.topic(opUpdate) + "/delta", r.difference(delta, time.Now().Unix(), nil)})
}
