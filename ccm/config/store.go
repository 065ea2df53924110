package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/internal/fsx"
)

// FS is the disk that a store uses; see [Options]. It is an interface, so that
// embedders can supply their own, and tests one that fails: ccmtest.NewDisk.
type FS = fsx.FS

// File is an open file of an [FS].
type File = fsx.File

// Options say where a configuration is and what it is like.
type Options struct {
	// FS is the disk; nil = that of the operating system.
	FS FS
	// Dir is the directory of the files. It is made, for its owner only, if it is
	// missing. One Store may use it at a time.
	Dir string
	// Schema has the keys; nil = CCM().
	Schema *Schema
	// MAC is the hardware address, 12 hexadecimal digits, for placeholders.
	// "" = they stay as they are.
	MAC string
	// RootKey gives the key that encrypts the secrets in the files. nil = they are
	// in clear.
	RootKey RootKeyProvider
	// StrictKeys refuses keys that the schema does not have. Otherwise they are
	// ignored and logged.
	StrictKeys bool
	// CompatSilent leaves out keys that may not be set, as Mongoose OS does,
	// instead of refusing the change.
	CompatSilent bool
	// AllowDefaultAPPassword allows the passphrase that all devices with Mongoose
	// OS had for their access point.
	AllowDefaultAPPassword bool
	// Logger is told what an operator wants to know; nil = nothing.
	Logger *slog.Logger
}

// Store is the configuration of a device. Make it with [Open]; there is nothing to
// close. All methods are safe for concurrent use.
type Store struct {
	schema *Schema
	disk   FS
	dir    string
	mac    string
	box    *sealer // nil = no root key
	strict bool
	silent bool
	oldAP  bool // AllowDefaultAPPassword
	log    *slog.Logger

	live atomic.Pointer[values] // what all levels set

	mu       sync.Mutex // for what follows, and held while files are written
	levels   [slots]level
	trial    trial
	problems []Problem
	watch    watchers
}

// The levels in the order in which they are applied. conf_vendor.json is one
// between the levels 5 and 6 (mgos_sys_config.c).
const (
	slotVendor = 6
	slotUser   = 10
	slots      = 11
)

// slotOf returns the slot of a level.
func slotOf(number int) int {
	if number >= slotVendor {
		return number + 1
	}
	return number
}

// UserLevel is the level that is changed and saved unless another is named.
const UserLevel = 9

// level is one of the levels of the configuration.
type level struct {
	set    values // what it sets
	staged values // of a vendor level: what it will set once it is saved
	edited bool   // there is something staged
	disk   values // what its file sets, as far as it can be read
	stale  bool   // the file must be written whatever is set
	bad    bool   // the file cannot be understood, and is kept beside the next one
}

// trial is the configuration that is to be used once, and then never again.
type trial struct {
	disk  values
	there bool // there may be such a file
	stale bool // it is not known what is in it
}

// Problem is something that is wrong with a file. Its text does not have values.
type Problem struct {
	File string // name without directory
	Key  string // "" if it is the whole file
	Err  error
}

// String returns the problem in words.
func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("%s: %v", p.File, p.Err)
	}
	return fmt.Sprintf("%s: %s: %v", p.File, p.Key, p.Err)
}

// maxProblems bounds what is remembered of broken files.
const maxProblems = 64

// Status tells about a store.
type Status struct {
	// AtRest is "encrypted" if secrets are encrypted in files, else "plain".
	AtRest string
	// Unreadable are the keys whose encrypted values cannot be decrypted. They
	// read as unset, and stay in their files until they are set anew.
	Unreadable []string
	// Unsaved reports whether there are changes that Save would write.
	Unsaved bool
}

// Open reads the configuration from its directory. Files that cannot be read or
// understood are left out: see [Store.Problems]. It fails if the directory cannot be
// made, if the options are not valid, and if the provider of the root key fails.
// ctx is for that provider.
func Open(ctx context.Context, o Options) (*Store, error) {
	switch {
	case o.Dir == "":
		return nil, errors.New("config: Options.Dir is not set")
	case o.MAC != "" && !validMAC(o.MAC):
		return nil, fmt.Errorf("config: Options.MAC %q: want 12 hexadecimal digits", o.MAC)
	}
	s := &Store{schema: o.Schema, disk: o.FS, dir: o.Dir, mac: o.MAC, strict: o.StrictKeys,
		silent: o.CompatSilent, oldAP: o.AllowDefaultAPPassword, log: o.Logger}
	if s.schema == nil {
		s.schema = CCM()
	}
	if s.disk == nil {
		s.disk = fsx.OS()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := outside(o.RootKey, o.Dir); err != nil {
		return nil, err
	}
	var err error
	if s.box, err = newSealer(ctx, o.RootKey); err != nil {
		return nil, err
	}
	if err := fsx.MkdirAll(s.disk, s.dir, dirMode); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	s.announce()
	s.load()
	s.publish()
	return s, nil
}

// announce tells once what deviates from the rules.
func (s *Store) announce() {
	if s.box == nil {
		s.log.Warn("config: no root key, secrets are stored in clear", "dir", s.dir)
	}
	if s.silent {
		s.log.Warn("config: CompatSilent: keys that may not be set are left out silently")
	}
	if s.oldAP {
		s.log.Warn("config: AllowDefaultAPPassword: the access point may have the passphrase that everybody knows")
	}
}

// below returns the values under a slot: those that differ from the defaults.
func (s *Store) below(slot int) values {
	var v values
	for i := range s.levels[:slot] {
		v = v.over(s.levels[i].set)
	}
	return v
}

// publish makes what the levels set the live configuration, and returns what has
// changed. s.mu is held, or nobody else has s.
func (s *Store) publish() []uint16 {
	v := s.below(slots)
	old := s.live.Swap(&v)
	if old == nil {
		return nil
	}
	return s.schema.changed(*old, v)
}

// View returns the configuration as it is now.
func (s *Store) View() View { return View{schema: s.schema, mac: s.mac, set: *s.live.Load()} }

// Schema returns the keys of the configuration.
func (s *Store) Schema() *Schema { return s.schema }

// Bool, Int, Double and String return the live value of a key of that type, and the
// zero value if the schema has no such key: see [View].
func (s *Store) Bool(key string) bool { return s.View().Bool(key) }

// Int is like Bool.
func (s *Store) Int(key string) int { return s.View().Int(key) }

// Double is like Bool.
func (s *Store) Double(key string) float64 { return s.View().Double(key) }

// String is like Bool. Secrets are returned as they are.
func (s *Store) String(key string) string { return s.View().String(key) }

// Secret is String for what must not appear in logs.
func (s *Store) Secret(key string) Secret { return s.View().Secret(key) }

// Has reports whether there is a key of that name.
func (s *Store) Has(key string) bool { return s.View().Has(key) }

// Problems returns what was wrong with the files when they were read, at most 64.
func (s *Store) Problems() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// Status returns the state of the store.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{AtRest: "plain"}
	if s.box != nil {
		st.AtRest = "encrypted"
	}
	for slot := range s.levels {
		for _, l := range s.levels[slot].set {
			if name := s.schema.keys[l.key].Name; l.sealed && !slices.Contains(st.Unreadable, name) {
				st.Unreadable = append(st.Unreadable, name)
			}
		}
	}
	st.Unsaved = !s.saved(slotUser)
	return st
}

// problem remembers and logs what is wrong with a file, unless there is too much
// already. Nobody else has s.
func (s *Store) problem(file, key string, err error) {
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, Problem{File: file, Key: clip(key), Err: err})
		s.log.Error("config: "+file, "key", clip(key), "err", err)
	}
}

// Format implements fmt.Formatter: the values are not shown.
func (s *Store) Format(f fmt.State, _ rune) { io.WriteString(f, "config.Store") }
