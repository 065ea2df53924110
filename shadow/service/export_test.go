package service

import "github.com/ccmkit/ccmkit/internal/fsx"

// WithDisk returns cfg with a disk of the test's.
func WithDisk(cfg Config, disk fsx.FS) Config {
	cfg.disk = disk
	return cfg
}

// FileName returns the name of the file of a shadow.
func FileName(thing, name string) string { return id{thing, name}.fileName() }

// ParseFileName returns the shadow that a file belongs to.
func ParseFileName(file string) (thing, name string, ok bool) {
	i, ok := parseFileName(file)
	return i.thing, i.name, ok
}

// Recode reads the content of a file and returns it as it would be written.
func Recode(data []byte) ([]byte, error) {
	r, err := decodeRecord(data)
	if err != nil {
		return nil, err
	}
	return r.encode(), nil
}

// ParseTopic takes a request topic apart and says whether the names are allowed.
func ParseTopic(topic string) (thing, name, op string, valid, ok bool) {
	i, o, ok := parseTopic(topic)
	return i.thing, i.name, string(o), i.valid(), ok
}

// Filters are the subscriptions of the service.
var Filters = filters

// Limits of the service.
const (
	MaxMessage = maxMessage
	QueueLen   = queueLen
	RefusedLen = refusedLen
)

// Version returns the version of a shadow, also of a deleted one; 0 if there was
// none.
func (s *Service) Version(thing, name string) int64 { return versionOf(s.table.get(id{thing, name})) }

// Owed returns how many shadows are remembered for an unpublished difference.
func (s *Service) Owed() int {
	s.owed.mu.Lock()
	defer s.owed.mu.Unlock()
	return len(s.owed.ids)
}
