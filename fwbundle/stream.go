package fwbundle

import (
	"errors"
	"io"
	"iter"
)

// StreamConfig tells what a [Stream] does. The zero value verifies a bundle
// without a policy, and throws the data away.
type StreamConfig struct {
	Limits Limits
	// Policy is checked as soon as the manifest was read, before any part, and
	// again at the end, when all sizes are known; nil checks none.
	Policy *Policy
	// Begin is called when the manifest was read and checked. An error ends the
	// stream with that error. nil does nothing.
	Begin func(*Manifest) error
	// Part is called when the data of a part begins, and returns where it goes;
	// nil, and a nil Part, throw it away. It is not called for fill parts. An
	// error, of Part or of the writer, ends the stream with that error. What was
	// written counts for nothing until Close has returned nil.
	Part func(*Part) (io.Writer, error)
}

// Stream reads a bundle from pieces of any size. It verifies what can be verified
// without the central directory: manifest.json must come first, and sizes must be
// known before the data unless it is compressed. The bundle ends where the central
// directory begins; bytes behind that are not looked at.
//
// A Stream is written to and then closed, by one goroutine at a time. The functions
// of its configuration are called by Write; they must not call methods of the
// Stream. The verdict does not depend on how the bytes are divided.
type Stream struct {
	config StreamConfig
	in     input
	next   func() (struct{}, bool)
	stop   func()
	done   bool
	err    error // the verdict, when done
	facts  facts
	body   content
	room   uint64    // bytes that entries may still inflate to
	piece  [512]byte // of the data of a part
}

// NewStream returns a stream for one bundle. It must be closed once it was written
// to.
func NewStream(config StreamConfig) *Stream {
	s := &Stream{config: config}
	s.config.Limits = config.Limits.withDefaults()
	s.in.most, s.room = s.config.Limits.MaxArchive, uint64(s.config.Limits.MaxArchive)
	return s
}

// Write takes the next bytes; p is not retained. As soon as the bundle is found to
// be bad it returns the reason, an [*Error] or what a function of the configuration
// has returned, and so does every later call. Bytes behind the end are taken and
// ignored.
func (s *Stream) Write(p []byte) (int, error) {
	if s.done {
		return s.result(len(p))
	}
	if s.next == nil {
		// A coroutine: it runs only inside next and stop.
		s.next, s.stop = iter.Pull(func(yield func(struct{}) bool) {
			s.in.wait = func() bool { return yield(struct{}{}) }
			s.err = s.run()
			s.done = true
		})
	}
	s.in.have = p
	if len(p) > 0 {
		s.next()
	}
	s.in.have = nil
	return s.result(len(p))
}

func (s *Stream) result(n int) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	return n, nil
}

// ReadFrom writes all that r has until the bundle is complete or bad, so that
// io.Copy does not read beyond the end of the bundle by more than one piece, and
// needs no large buffer. It does not close the stream.
func (s *Stream) ReadFrom(r io.Reader) (n int64, err error) {
	buf := make([]byte, 4<<10)
	for !s.done {
		k, err := r.Read(buf)
		n += int64(k)
		if _, bad := s.Write(buf[:k]); bad != nil {
			return n, bad
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, s.err
}

// Done reports whether the verdict is there: all further bytes are ignored.
func (s *Stream) Done() bool { return s.done }

// Close ends the stream and returns the verdict: nil if the bundle was complete
// and good, else what Write has returned, or [ErrTruncated]. It may be called more
// than once.
func (s *Stream) Close() error {
	if !s.done && s.stop != nil {
		s.stop()
	}
	if !s.done {
		s.done, s.err = true, readError("", io.ErrUnexpectedEOF)
	}
	return s.err
}

// Manifest returns the manifest once it was read, else nil. It must not be
// modified.
func (s *Stream) Manifest() *Manifest { return s.facts.manifest }

// Extra returns the attributes of the extra record, once the manifest was read.
func (s *Stream) Extra() []Attr { return s.facts.extra }

// Check closes the stream and returns why the bundle is bad, or why a device with
// this policy must not take it.
func (s *Stream) Check(p Policy) error {
	if err := s.Close(); err != nil {
		return err
	}
	return s.facts.check(p)
}

// input yields the bytes that were written, and waits for more inside of Write.
type input struct {
	have []byte
	read int64 // bytes taken
	most int64 // that may be taken
	wait func() bool
}

// fill makes sure that there are bytes.
func (in *input) fill() error {
	for len(in.have) == 0 {
		if !in.wait() {
			return io.ErrUnexpectedEOF
		}
	}
	if in.read >= in.most {
		return refuse(StageLimits, "", "more than %d bytes", in.most)
	}
	return nil
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := in.fill(); err != nil {
		return 0, err
	}
	n := copy(p[:min(int64(len(p)), in.most-in.read)], in.have)
	in.have, in.read = in.have[n:], in.read+int64(n)
	return n, nil
}

// ReadByte implements io.ByteReader.
func (in *input) ReadByte() (byte, error) {
	if err := in.fill(); err != nil {
		return 0, err
	}
	b := in.have[0]
	in.have, in.read = in.have[1:], in.read+1
	return b, nil
}
