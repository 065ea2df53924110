package service

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/shadow"
)

// ErrRunning is returned by [Service.Run] while another Run runs.
var ErrRunning = errors.New("service: it runs already")

// Defaults and limits of Config.
const (
	defaultThings   = 10000
	defaultShadows  = 100
	defaultDocument = 8 << 10
	defaultWorkers  = 16
	largestDocument = 60 << 10 // update/documents carries two of them
)

// Config configures a [Service].
type Config struct {
	// Transport reaches the broker. It must be set.
	Transport shadow.Transport
	// Dir is the directory in which the shadows are stored; it is made if it is
	// missing. "" keeps them in memory only. Two services must not share one.
	Dir string
	// MaxThings bounds the things that have shadows. A request for one more is
	// refused with code 429. Default 10000.
	MaxThings int
	// MaxShadows bounds the shadows of one thing, the classic one included, in
	// the same way. Default 100.
	MaxShadows int
	// MaxDocument is the size of a shadow, in bytes: the text of desired and
	// reported without white space. An update that makes it larger is refused
	// with code 413. Default 8192, as AWS has it; at most 61440.
	MaxDocument int
	// Workers is how many things are served at a time. A request keeps one
	// busy until the broker has acknowledged all its messages, one after
	// another, so the requests per second are at most this number divided by
	// some four times the round trip. Default 16.
	Workers int
	// Observer, if set, is told what the service does. It is called from
	// several goroutines, also at the same time, must not block, and must not
	// call Update, Delete or Run. In New it is told of broken files.
	Observer func(Event)

	disk fsx.FS // nil: that of the operating system
}

// resolved returns the configuration with its defaults.
func (c Config) resolved() (Config, error) {
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"MaxThings", &c.MaxThings, defaultThings},
		{"MaxShadows", &c.MaxShadows, defaultShadows},
		{"MaxDocument", &c.MaxDocument, defaultDocument},
		{"Workers", &c.Workers, defaultWorkers},
	} {
		if *f.value < 0 {
			return c, fmt.Errorf("service: %s is negative", f.name)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	if c.MaxDocument > largestDocument {
		return c, fmt.Errorf("service: MaxDocument is more than %d", largestDocument)
	}
	if c.Transport == nil {
		return c, errors.New("service: no Transport")
	}
	if c.disk == nil {
		c.disk = fsx.OS()
	}
	return c, nil
}

// Service keeps the shadows of many things. Make it with [New].
type Service struct {
	cfg     Config
	table   *table
	turns   turns
	owed    owed
	counts  counters
	running atomic.Bool
	attempt atomic.Uint64 // of Run, to subscribe
}

// New returns a service with the shadows that are stored in Config.Dir. It starts
// nothing. The error names a field of the configuration, or the file or directory
// that could not be read.
//
// A file that can be read and holds no shadow is renamed to *.broken and
// reported to the observer; its shadow does not exist then.
func New(cfg Config) (*Service, error) {
	cfg, err := cfg.resolved()
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg:   cfg,
		table: newTable(cfg.MaxThings, cfg.MaxShadows),
		turns: newTurns(cfg.Workers),
		owed:  newOwed(),
	}
	if cfg.Dir != "" {
		if err := s.load(); err != nil {
			return nil, fmt.Errorf("service: %w", err)
		}
	}
	return s, nil
}

// Update changes a shadow, or makes it, as a request that is published on its
// topic does: the request is such a payload, and accepted, delta and documents are
// published. It returns the payload of update/accepted.
//
// The error is a [*shadow.Error] if the request was refused, which is not
// published, or that of ctx if it ended before it was the request's turn. If the
// broker cannot be reached the change is made all the same; see the package
// comment. The request is not kept, and the result is the caller's.
func (s *Service) Update(ctx context.Context, thing, name string, request []byte) (accepted []byte, err error) {
	return s.call(ctx, id{thing, name}, opUpdate, request)
}

// Get returns a shadow, as in get/accepted; the result is the caller's. The name of
// the classic one is "".
// The error is a [*shadow.Error], of code 404 if there is no such shadow.
func (s *Service) Get(thing, name string) ([]byte, error) {
	i := id{thing, name}
	if !i.valid() {
		return nil, badRequest(invalidName)
	}
	done := s.read(i, nil)
	return done.answer, done.err
}

// Delete removes a shadow and publishes delete/accepted. Its version is kept: a
// new shadow of the same names goes on from it. Errors are as in Update.
func (s *Service) Delete(ctx context.Context, thing, name string) error {
	_, err := s.call(ctx, id{thing, name}, opDelete, nil)
	return err
}

// call does what a request does that was not published.
func (s *Service) call(ctx context.Context, i id, op operation, payload []byte) ([]byte, error) {
	if !i.valid() {
		return nil, badRequest(invalidName)
	}
	done := s.serve(ctx, job{id: i, op: op, payload: payload})
	return done.answer, done.err
}
