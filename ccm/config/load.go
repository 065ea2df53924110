package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ccmkit/ccmkit/internal/acl"
	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

const (
	dirMode    = 0o700
	fileMode   = 0o600
	userFile   = "conf9.json"
	trialFile  = "conf9.json.try"
	legacyFile = "conf.json"
	vendorFile = "conf_vendor.json"
	badSuffix  = ".bad" // of a file that could not be understood, and was replaced
)

// fileOf returns the name of the file of a slot.
func fileOf(slot int) string {
	switch {
	case slot == slotVendor:
		return vendorFile
	case slot > slotVendor:
		slot--
	}
	return "conf" + strconv.Itoa(slot) + ".json"
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// load reads all levels.
func (s *Store) load() {
	for slot := 1; slot < slotUser; slot++ {
		s.loadLevel(slot, fileOf(slot))
	}
	file := s.migrate()
	s.loadLevel(slotUser, file)
	if file != userFile {
		s.levels[slotUser].stale = true
	}
	s.loadTrial()
}

// loadLevel reads the file of a level.
func (s *Store) loadLevel(slot int, file string) {
	text, err := fsx.ReadFile(s.disk, s.path(file), MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	l := &s.levels[slot]
	if err == nil {
		l.set, l.stale, err = s.read(file, text, s.below(slot))
	}
	if err != nil {
		s.problem(file, "", err)
		l.stale, l.bad = true, file == fileOf(slot)
	}
	l.disk = l.set
}

// migrate makes the file of old firmware that of the user's level, if that has none.
// It returns the name of the file that the level is in.
func (s *Store) migrate() string {
	exists := func(name string) bool {
		f, err := s.disk.OpenFile(s.path(name), 0, 0)
		if err == nil {
			f.Close()
		}
		return !errors.Is(err, fs.ErrNotExist)
	}
	if !exists(legacyFile) {
		return userFile
	}
	if exists(userFile) {
		s.problem(legacyFile, "", errors.New("not used, as there is "+userFile))
		return userFile
	}
	// Not made durable: under either name the next start finds the same.
	if err := s.disk.Rename(s.path(legacyFile), s.path(userFile)); err != nil {
		s.problem(legacyFile, "", err)
		return legacyFile
	}
	return userFile
}

// loadTrial reads the configuration that is to be used once, in place of the user's,
// and removes it.
func (s *Store) loadTrial() {
	saved := s.levels[slotUser]
	text, err := fsx.ReadFile(s.disk, s.path(trialFile), MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	s.trial = trial{there: true, stale: true}
	var set values
	if err == nil {
		set, _, err = s.read(trialFile, text, s.below(slotUser))
	}
	if err == nil {
		saved.set = set
		s.levels[slotUser] = saved
		s.log.Info("config: a configuration on trial is used this time")
	} else {
		s.problem(trialFile, "", err)
	}
	if err := s.removeTrial(); err != nil {
		s.problem(trialFile, "", err)
	}
}

// removeTrial removes the file of the trial and makes that durable.
func (s *Store) removeTrial() error {
	err := s.disk.Remove(s.path(trialFile))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = s.disk.SyncDir(s.dir)
	}
	if err == nil {
		s.trial = trial{}
	}
	return err
}

// read returns what the text of a file sets, over what is below, and whether
// something in it must be stored in another way. What does not fit is left out and
// told; the error is about the text as a whole.
func (s *Store) read(file string, text []byte, below values) (set values, stale bool, err error) {
	may := s.allowed(below)
	var found values
	var unknown []string
	w := walker{
		value: func(n *node, raw mjson.Value) error {
			l, err := s.readValue(n, raw)
			switch {
			case err != nil:
				s.problem(file, n.path, err)
			case !may(n.path):
				if l.text != s.schema.value(below, n.key) {
					s.problem(file, n.path, ErrDenied)
				}
			default:
				found = append(found, l)
			}
			return nil
		},
		fault: func(e *KeyError) error {
			if e.Key == "" {
				return e
			}
			s.problem(file, e.Key, e)
			return nil
		},
		unknown: func(path string) error {
			unknown = note(unknown, path)
			return nil
		},
	}
	if err := w.walk(s.schema.root, text); err != nil {
		return nil, true, err
	}
	if len(unknown) > 0 {
		s.log.Info("config: "+file+": unknown keys are ignored", "keys", strings.Join(unknown, " "))
	}
	found.sort()
	set, stale = s.unseal(file, found, below)
	return set, stale, nil
}

// readValue returns the value of a key, which may be encrypted.
func (s *Store) readValue(n *node, raw mjson.Value) (leaf, error) {
	k := &s.schema.keys[n.key]
	if text, is := raw.Text(); is && k.Secret && looksSealed(text) {
		return leaf{key: n.key, sealed: true, text: text}, nil
	}
	text, bad := k.parse(raw)
	if bad != nil {
		return leaf{}, bad
	}
	return leaf{key: n.key, text: text}, nil
}

// unseal decrypts what can be. stale says that a secret is there in clear, although
// there is a key.
func (s *Store) unseal(file string, found, below values) (set values, stale bool) {
	id := s.deviceID(below.over(found))
	for i, l := range found {
		k := &s.schema.keys[l.key]
		if !l.sealed {
			stale = stale || k.Secret && l.text != "" && s.box != nil
			continue
		}
		text, err := s.box.open(k.Name, id, l.text)
		if err == nil {
			found[i] = leaf{key: l.key, text: text}
			if bad := k.check(text); bad != nil {
				err, found[i] = bad, l
			}
		}
		if err != nil {
			s.problem(file, k.Name, err)
		}
	}
	return found, stale
}

// deviceID returns the id to which secrets are bound that are stored over these
// values.
func (s *Store) deviceID(v values) string { return View{s.schema, s.mac, v}.String(keyID) }

// allowed returns the judgement of the list conf_acl of a configuration. A schema
// without such a key allows all.
func (s *Store) allowed(v values) func(key string) bool {
	if _, is := s.schema.find(keyACL, String); !is {
		return func(string) bool { return true }
	}
	list := View{s.schema, s.mac, v}.String(keyACL)
	return func(key string) bool { return acl.Allows(list, key) }
}
