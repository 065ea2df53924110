package jsonrpc

import "sync"

// freeList keeps up to max objects that are not in use. The zero freeList keeps
// none.
type freeList[T any] struct {
	mu   sync.Mutex
	free []*T
	max  int
}

// get returns an object, or nil.
func (l *freeList[T]) get() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		return nil
	}
	o := l.free[n-1]
	l.free = l.free[:n-1]
	return o
}

// put takes an object back.
func (l *freeList[T]) put(o *T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < l.max {
		l.free = append(l.free, o)
	}
}
