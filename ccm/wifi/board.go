package wifi

import "sync"

// maxPending bounds the statuses that wait for a slow watcher.
const maxPending = 16

// board is the status of a network and who watches it.
type board struct {
	mu       sync.Mutex
	status   Status
	watchers []*watcher
}

type watcher struct {
	f       func(Status)
	pending []Status // oldest first
	busy    bool     // f runs
}

// get returns the status.
func (b *board) get() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// update changes the status. The watchers are told by tell, which the caller calls
// when it holds no lock.
func (b *board) update(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.status
	change(&b.status)
	if b.status == before {
		return
	}
	for _, w := range b.watchers {
		if len(w.pending) == maxPending {
			w.pending = append(w.pending[:0], w.pending[1:]...)
		}
		w.pending = append(w.pending, b.status)
	}
}

// tell calls the watchers until none has a status pending, except for those whose
// function runs: whoever runs it goes on when it returns.
func (b *board) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := b.next(); w != nil; w = b.next() {
		s := w.pending[0]
		w.pending = w.pending[1:]
		b.call(w, s)
	}
}

// next returns a watcher that can be called. b.mu is held.
func (b *board) next() *watcher {
	for _, w := range b.watchers {
		if !w.busy && len(w.pending) > 0 {
			return w
		}
	}
	return nil
}

// call calls the function of a watcher. b.mu is held, but not meanwhile.
func (b *board) call(w *watcher, s Status) {
	w.busy = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		w.busy = false
	}()
	w.f(s)
}

// watch is Network.Watch.
func (b *board) watch(f func(Status)) (stop func()) {
	w := &watcher{f: f}
	b.add(w)
	b.tell() // what has changed while f ran
	return func() { b.remove(w) }
}

// add adds a watcher and tells it the status.
func (b *board) add(w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers = append(b.watchers, w)
	b.call(w, b.status)
}

// remove forgets a watcher.
func (b *board) remove(w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n, other := range b.watchers {
		if other == w {
			b.watchers = append(b.watchers[:n:n], b.watchers[n+1:]...)
			return
		}
	}
}
