package config

import (
	"maps"
	"slices"
	"sync"

	"github.com/ccmkit/ccmkit/internal/acl"
)

// watchers are those who are told about changes.
type watchers struct {
	mu      sync.Mutex
	list    []*watcher
	pending map[uint16]struct{} // keys that nobody was told about yet
	busy    bool                // somebody is telling
}

type watcher struct {
	pattern string
	f       func(changed []string)
}

// Watch has f called when live values have changed whose keys the pattern allows; it
// is a list in the syntax of conf_acl, such as "mqtt.*,device.id". f gets the names
// of those keys, which it may keep, in the order of the schema, and reads the values
// from the store.
//
// Calls are made one at a time, by a goroutine that changes the store, usually before
// its method returns; changes made meanwhile are told together. f may use the store.
// After stop f is called no more, but for a call that may be under way.
func (s *Store) Watch(pattern string, f func(changed []string)) (stop func()) {
	w := &watcher{pattern, f}
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	s.watch.list = append(slices.Clip(s.watch.list), w)
	return func() {
		s.watch.mu.Lock()
		defer s.watch.mu.Unlock()
		s.watch.list = slices.DeleteFunc(slices.Clone(s.watch.list), func(o *watcher) bool { return o == w })
	}
}

// notify tells the watchers which keys have changed.
func (s *Store) notify(changed []uint16) {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(changed) == 0 || len(w.list) == 0 {
		return
	}
	if w.pending == nil {
		w.pending = map[uint16]struct{}{}
	}
	for _, key := range changed {
		w.pending[key] = struct{}{}
	}
	if w.busy {
		return // whoever is telling will tell this too
	}
	w.busy = true
	defer func() { w.busy = false }()
	for len(w.pending) > 0 {
		keys := slices.Sorted(maps.Keys(w.pending))
		clear(w.pending)
		s.tell(slices.Clone(w.list), keys)
	}
}

// tell calls the watchers, without the lock, which it is given and gives back.
func (s *Store) tell(list []*watcher, keys []uint16) {
	s.watch.mu.Unlock()
	defer s.watch.mu.Lock()
	for _, w := range list {
		var names []string
		for _, key := range keys {
			if name := s.schema.keys[key].Name; acl.Allows(w.pattern, name) {
				names = append(names, name)
			}
		}
		if len(names) > 0 && s.watches(w) {
			w.f(names)
		}
	}
}

// watches reports whether a watcher was not stopped.
func (s *Store) watches(w *watcher) bool {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return slices.Contains(s.watch.list, w)
}
