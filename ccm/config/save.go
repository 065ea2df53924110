package config

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/internal/wpa"
)

// SaveOptions say what to save.
type SaveOptions struct {
	// TryOnce saves the user's level for the next Open only: the one after it finds
	// what was saved before, unless Save is called meanwhile.
	TryOnce bool
	// Level is the level to save, 1 to 9; 0 = 9, the user's.
	Level int
}

var errTryOnce = errors.New("config: only the user's level can be tried once")

// Save writes what a level sets, other than the levels below it, to its file. When
// it returns nil that is durable; when it fails, the file is the old one or the new
// one, whole, the live configuration is as before, and Save can be called again.
// Nothing is written if nothing has changed. The rules of the schema must hold.
//
// Otherwise a save costs one file, written and synced, and one sync of the
// directory; one more if it makes a configuration on trial obsolete. A file that could
// not be understood when it was read stays there with the suffix .bad.
//
// What was set for a vendor's level becomes live when it is saved.
func (s *Store) Save(o SaveOptions) error {
	slot, err := levelSlot(o.Level)
	if err != nil {
		return err
	}
	s.mu.Lock()
	var changed []uint16
	if err = s.save(slot, o); err == nil {
		changed = s.publish()
	}
	s.mu.Unlock()
	s.notify(changed)
	return err
}

// save saves a level. s.mu is held.
func (s *Store) save(slot int, o SaveOptions) error {
	if o.TryOnce && slot != slotUser {
		return errTryOnce
	}
	l := &s.levels[slot]
	before := l.set
	ids := s.boundTo()
	l.set = l.current()
	err := s.validate()
	if err == nil && o.TryOnce {
		err = s.saveTrial()
	} else if err == nil {
		err = s.saveLevel(slot)
	}
	if err == nil {
		err = s.rebind(slot, ids)
	}
	if err != nil {
		l.set = before
		return err
	}
	l.staged, l.edited = nil, false
	return nil
}

// validate applies the rules to what will be live.
func (s *Store) validate() error {
	v := View{s.schema, s.mac, s.below(slots)}
	for _, rule := range s.schema.rules {
		if err := rule(v); err != nil {
			return &ruleError{err}
		}
	}
	if !s.oldAP && v.Bool("wifi.ap.enable") && v.String("wifi.ap.pass") == wpa.Default {
		return &ruleError{errDefaultPass}
	}
	return nil
}

// want returns what the file of a level is to set.
func (s *Store) want(slot int) values {
	return s.schema.differing(s.levels[slot].set, s.below(slot))
}

// saved reports whether the file of a level has what the level sets.
func (s *Store) saved(slot int) bool {
	l := &s.levels[slot]
	return !l.stale && slices.Equal(s.want(slot), s.schema.differing(l.disk, s.below(slot)))
}

// saveLevel writes the file of a level, if need be.
func (s *Store) saveLevel(slot int) error {
	if !s.saved(slot) {
		if err := s.write(slot, s.want(slot)); err != nil {
			return err
		}
	}
	if slot == slotUser && s.trial.there {
		return s.removeTrial()
	}
	return nil
}

// write writes the file of a level.
func (s *Store) write(slot int, set values) error {
	l := &s.levels[slot]
	text := s.encode(slot, set)
	if len(text) > MaxFile {
		return ErrTooLarge
	}
	l.stale = true // until it is known what is there
	if l.bad {     // somebody may want to know what was in it; if not, so be it
		s.disk.Rename(s.path(fileOf(slot)), s.path(fileOf(slot)+badSuffix))
		l.bad = false
	}
	if err := fsx.WriteFile(s.disk, s.path(fileOf(slot)), text, fileMode); err != nil {
		return err
	}
	l.disk, l.stale = set, false
	return nil
}

// saveTrial writes the file that the next Open uses and removes.
func (s *Store) saveTrial() error {
	set := s.want(slotUser)
	have, stale := s.levels[slotUser].disk, s.levels[slotUser].stale
	if s.trial.there {
		have, stale = s.trial.disk, s.trial.stale
	}
	if !stale && slices.Equal(set, s.schema.differing(have, s.below(slotUser))) {
		return nil
	}
	text := s.encode(slotUser, set)
	if len(text) > MaxFile {
		return ErrTooLarge
	}
	s.trial = trial{there: true, stale: true}
	if err := fsx.WriteFile(s.disk, s.path(trialFile), text, fileMode); err != nil {
		return err
	}
	s.trial = trial{there: true, disk: set}
	return nil
}

// encode returns the text of a file: what a level sets, secrets encrypted.
func (s *Store) encode(slot int, set values) []byte {
	id := s.deviceID(s.below(slot).over(set))
	text, some := s.schema.appendPretty(nil, s.schema.root, "", func(key uint16) (string, bool) {
		i, found := set.search(key)
		if !found {
			return "", false
		}
		l, k := set[i], &s.schema.keys[key]
		if k.Secret && !l.sealed && l.text != "" && s.box != nil {
			return s.box.seal(k.Name, id, l.text), true
		}
		return l.text, true
	})
	if !some {
		text = append(text, "{}"...)
	}
	return append(text, '\n')
}

// boundTo returns the device ids to which the secrets in the files are bound.
func (s *Store) boundTo() (ids [slots]string) {
	if s.box == nil {
		return ids
	}
	var v values
	for slot := range s.levels {
		ids[slot] = s.deviceID(v.over(s.levels[slot].disk))
		v = v.over(s.levels[slot].set)
	}
	return ids
}

// rebind writes the files above a level anew whose secrets were bound to another
// device id before the level was saved.
func (s *Store) rebind(slot int, before [slots]string) error {
	if s.box == nil {
		return nil
	}
	now := s.boundTo()
	for above := slot + 1; above < slots; above++ {
		l := &s.levels[above]
		secret := func(l leaf) bool { return s.schema.keys[l.key].Secret && !l.sealed && l.text != "" }
		if now[above] != before[above] && slices.ContainsFunc(l.disk, secret) {
			if err := s.write(above, l.disk); err != nil {
				return err
			}
		}
	}
	return nil
}

// FactoryReset forgets the user's level: its files are removed, and what they set is
// live no more. When it returns nil that is durable. When it fails, the files are as
// before or gone, the live configuration is as before, and FactoryReset can be called
// again. The files of the vendor's levels are not touched.
func (s *Store) FactoryReset() error {
	s.mu.Lock()
	var changed []uint16
	err := s.reset()
	if err == nil {
		changed = s.publish()
	}
	s.mu.Unlock()
	s.notify(changed)
	return err
}

// reset removes the user's files, each step durable before the next: first those that
// the next Open would not use, so that it never finds one of them in place of what
// was removed. A configuration on trial takes the place of the saved one: the next
// Open would have used it, and shall do so until there is neither.
func (s *Store) reset() error {
	l := &s.levels[slotUser]
	l.stale = true
	for _, name := range []string{legacyFile, userFile + fsx.TempSuffix, trialFile + fsx.TempSuffix, userFile + badSuffix} {
		if err := s.removeDurably(name); err != nil {
			return err
		}
	}
	err := s.disk.Rename(s.path(trialFile), s.path(userFile))
	if err == nil {
		err = s.disk.SyncDir(s.dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.trial = trial{}
	if err := s.disk.Remove(s.path(userFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.disk.SyncDir(s.dir); err != nil { // even if it is gone: perhaps not durably
		return err
	}
	*l = level{}
	return nil
}

// removeDurably removes a file that may not be there.
func (s *Store) removeDurably(name string) error {
	err := s.disk.Remove(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.disk.SyncDir(s.dir)
}
