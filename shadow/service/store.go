package service

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/shadow"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// store makes a record durable and then the current one. The turn of the thing is
// held.
func (s *Service) store(i id, r *record) *shadow.Error {
	if !s.reserve(i) {
		return tooMany("things or shadows")
	}
	if s.cfg.Dir != "" {
		if err := fsx.WriteFile(s.cfg.disk, s.path(i), r.encode(), fileMode); err != nil {
			s.table.release(i)
			s.diskError(i, err)
			return internalFailure()
		}
	}
	s.table.put(i, r)
	return nil
}

// reserve makes a place for a shadow, if need be by forgetting one that is
// deleted.
func (s *Service) reserve(i id) bool {
	return s.table.reserve(i) || s.forget(i) && s.table.reserve(i)
}

// forget removes what is left of a deleted thing, or of a deleted shadow of the
// thing that needs a place. The turn of that one is held, the other's must be
// free: to wait for it could be to wait for each other.
func (s *Service) forget(i id) bool {
	ids := s.table.expendable(i)
	if len(ids) == 0 {
		return false
	}
	if thing := ids[0].thing; s.turns.of(thing) != s.turns.of(i.thing) {
		endTurn, free := s.turns.try(thing)
		if !free {
			return false
		}
		defer endTurn()
	}
	ids = s.table.forget(ids)
	for _, old := range ids {
		s.owed.drop(old)
		s.removeFile(old)
	}
	return len(ids) > 0
}

// removeFile removes the file of a shadow that is forgotten. If that fails, or
// power does, the shadow is remembered again at the next start.
func (s *Service) removeFile(i id) {
	if s.cfg.Dir == "" {
		return
	}
	if err := s.cfg.disk.Remove(s.path(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.diskError(i, err)
	}
}

func (s *Service) path(i id) string { return filepath.Join(s.cfg.Dir, i.fileName()) }

func (s *Service) diskError(i id, err error) {
	s.note(Event{Kind: EventDisk, Thing: i.thing, Shadow: i.name, File: i.fileName(), Err: err})
}

// load reads the directory, or makes it.
func (s *Service) load() error {
	disk, dir := s.cfg.disk, s.cfg.Dir
	if err := fsx.MkdirAll(disk, dir, dirMode); err != nil {
		return err
	}
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if base, temporary := strings.CutSuffix(e.Name(), fsx.TempSuffix); temporary {
			if _, ours := parseFileName(base); ours {
				disk.Remove(filepath.Join(dir, e.Name())) // or it is overwritten when its shadow changes
			}
			continue
		}
		if i, is := parseFileName(e.Name()); is {
			if err := s.loadFile(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadFile reads one shadow. If the file holds none it is set aside.
func (s *Service) loadFile(i id) error {
	data, err := fsx.ReadFile(s.cfg.disk, s.path(i), s.maxFile())
	if err != nil && !errors.Is(err, fsx.ErrTooLarge) {
		return err
	}
	if err == nil {
		var r *record
		if r, err = decodeRecord(data); err == nil {
			s.table.put(i, r)
			if r.desired.text != nil {
				s.owed.add(i) // whoever stored it may have been stopped before it was published
			}
			return nil
		}
	}
	s.note(Event{Kind: EventBroken, Thing: i.thing, Shadow: i.name, File: i.fileName(), Err: err})
	if err := s.cfg.disk.Rename(s.path(i), s.path(i)+brokenSuffix); err != nil {
		s.diskError(i, err)
	}
	return nil
}

// maxFile is how long a file may be. Stamps have up to a dozen times the size
// of the state; the rest is for a limit that was higher before, and for white
// space.
func (s *Service) maxFile() int { return 64*s.cfg.MaxDocument + 64<<10 }
