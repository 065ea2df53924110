package fwbundle

import (
	"errors"
	"io"
	"slices"
)

// run reads a bundle up to its central directory.
func (s *Stream) run() error {
	var names []string
	for {
		var sig [4]byte
		if _, err := io.ReadFull(&s.in, sig[:]); err != nil {
			return readError("", err)
		}
		switch le.Uint32(sig[:]) {
		case sigLocal:
			h, err := s.header(&names)
			if err != nil {
				return err
			}
			if err := s.entry(h); err != nil {
				return err
			}
		case sigCentral:
			return s.complete(names)
		default:
			return refuse(StageContainer, "", "no header at offset %d", s.in.read-int64(len(sig)))
		}
	}
}

// header reads a local header and judges it.
func (s *Stream) header(names *[]string) (h header, err error) {
	l := s.config.Limits
	if s.facts.entries++; s.facts.entries > l.MaxEntries {
		return h, refuse(StageLimits, "", "more than %d entries", l.MaxEntries)
	}
	if h, _, err = readLocal(&s.in, l); err != nil {
		return h, err
	}
	s.facts.longest = max(s.facts.longest, len(h.name))
	if h.streamed() && h.method == stored && h.size == 0 {
		return h, refuse(StageContainer, h.name, "stored without its size: it can be read from a file only")
	}
	*names, err = addName(*names, h.name)
	return h, err
}

// entry reads the data of an entry.
func (s *Stream) entry(h header) error {
	limit, isManifest := s.room, false
	var d *digests
	switch {
	case isDir(h.name):
	case s.facts.manifest != nil:
		d = newDigests(s.facts.manifest, h.name)
	case base(h.name) == ManifestName:
		limit, isManifest = uint64(s.config.Limits.MaxManifest), true
	default:
		return refuse(StageContainer, h.name, "%s is not the first file", ManifestName)
	}
	if h.size > s.room {
		return refuse(StageLimits, h.name, "the entries inflate to more than %d bytes", s.config.Limits.MaxArchive)
	}
	sinks, err := s.sinks(d)
	if err != nil {
		return err
	}
	s.body.open(h, &s.in, h.streamed(), limit, d)
	var text []byte
	if isManifest {
		text = make([]byte, 0, min(h.size, 4<<10)) // grows as it comes
	}
	text, err = s.copy(text, sinks)
	if err != nil {
		return err
	}
	if isDir(h.name) && s.body.read != 0 {
		return refuse(StageNames, h.name, "a directory with content")
	}
	s.room -= min(s.room, s.body.read)
	if h.streamed() {
		want := s.body.descriptor()
		if _, err := want.read(&s.in); err != nil {
			if errors.Is(err, errDescriptor) {
				return refuse(StageContainer, h.name, "its data descriptor does not agree with it")
			}
			return readError(h.name, err)
		}
	}
	if isManifest {
		return s.begin(h, text)
	}
	d.measured(s.body.read)
	return nil
}

// copy reads an entry to its end, and appends it to text unless that is nil.
func (s *Stream) copy(text []byte, sinks []io.Writer) ([]byte, error) {
	for {
		n, err := s.body.Read(s.piece[:])
		if text != nil {
			text = append(text, s.piece[:n]...)
		}
		for _, w := range sinks {
			if n == 0 {
				break
			}
			if _, err := w.Write(s.piece[:n]); err != nil {
				return nil, err
			}
		}
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return nil, readError(s.body.name, err)
		}
	}
}

// sinks returns where the data of an entry goes.
func (s *Stream) sinks(d *digests) (sinks []io.Writer, err error) {
	if d == nil || s.config.Part == nil {
		return nil, nil
	}
	for _, p := range d.parts {
		w, err := s.config.Part(p)
		if err != nil {
			return nil, err
		}
		if w != nil {
			sinks = append(sinks, w)
		}
	}
	return sinks, nil
}

// begin takes the manifest.
func (s *Stream) begin(h header, text []byte) (err error) {
	if s.facts.manifest, err = s.config.Limits.parse(text); err != nil {
		return err
	}
	if s.facts.extra, err = parseRecord(h.record); err != nil {
		return err
	}
	if err := s.checkPolicy(); err != nil {
		return err
	}
	if s.config.Begin != nil {
		return s.config.Begin(s.facts.manifest)
	}
	return nil
}

// complete judges the bundle when the central directory begins.
func (s *Stream) complete(names []string) error {
	if s.facts.manifest == nil {
		return refuse(StageContainer, ManifestName, "not in the archive")
	}
	if err := s.facts.findSources(func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return !isDir(n) && base(n) == name })
	}); err != nil {
		return err
	}
	return s.checkPolicy()
}

func (s *Stream) checkPolicy() error {
	s.facts.size = s.in.read
	if s.config.Policy == nil {
		return nil
	}
	return s.facts.check(*s.config.Policy)
}
