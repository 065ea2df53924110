package fwbundle

import (
	"errors"
	"fmt"
	"io"
)

// Stage is the layer whose rule a bundle breaks.
type Stage uint8

// The stages, in the order in which they are usually passed.
const (
	StageContainer Stage = iota + 1 // structure of the zip archive
	StageNames                      // names and types of entries
	StageLimits                     // resource limits
	StageManifest                   // syntax and types of manifest.json
	StagePart                       // content against the manifest
	StagePolicy                     // device: platform, version, types, addresses
	StageSignature                  // signatures of the manifest
)

// String returns the name of the stage in lower case.
func (s Stage) String() string {
	names := [...]string{"none", "container", "names", "limits", "manifest", "part", "policy", "signature"}
	if int(s) >= len(names) {
		return fmt.Sprintf("stage %d", uint8(s))
	}
	return names[s]
}

// Conditions that errors.Is finds in an [*Error].
var (
	// ErrPlatform is a bundle for another platform, or for none: it may be
	// good, but not for this device.
	ErrPlatform = errors.New("wrong platform")
	// ErrSignature is a signature that is required and not there, or not good.
	ErrSignature = errors.New("required signature missing or wrong")
	// ErrLocked is a signature mask of 0: the device takes no bundle at all.
	ErrLocked = errors.New("updates are locked: the signature mask is 0")
	// ErrDowngrade is a version or security counter lower than what the device
	// accepts.
	ErrDowngrade = errors.New("older than allowed")
	// ErrSameVersion is the version and build that is installed already, if
	// the policy asks for that to be told.
	ErrSameVersion = errors.New("version is the same as installed")
	// ErrExpired is a bundle past its date, or with a date that cannot be read.
	ErrExpired = errors.New("expired")
	// ErrTruncated is a stream that has ended inside the bundle. It is
	// io.ErrUnexpectedEOF too.
	ErrTruncated = fmt.Errorf("truncated: %w", io.ErrUnexpectedEOF)
	// ErrDigest is data that does not have the digest in the manifest.
	ErrDigest = errors.New("digest does not match")
)

// Error tells why a bundle is refused.
type Error struct {
	Stage Stage
	Entry string // of the archive, "manifest.json" for the manifest; "" if it is about the whole archive
	Part  string // name of the part in the manifest, or ""
	Err   error  // the reason; may wrap one of the conditions above, or a read error
}

// Error returns the stage, the entry, the part and the reason.
func (e *Error) Error() string {
	s := "fwbundle: " + e.Stage.String() + ": "
	if e.Entry != "" {
		s += fmt.Sprintf("%.80q: ", e.Entry)
	}
	if e.Part != "" {
		s += fmt.Sprintf("part %.80q: ", e.Part)
	}
	return s + e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// refuse returns an Error about an entry; the format is that of fmt.Errorf.
func refuse(s Stage, entry, format string, args ...any) error {
	return &Error{Stage: s, Entry: entry, Err: fmt.Errorf(format, args...)}
}

// refusePart is refuse for what the manifest says of a part.
func refusePart(s Stage, entry, part, format string, args ...any) error {
	return &Error{Stage: s, Entry: entry, Part: part, Err: fmt.Errorf(format, args...)}
}

// readError returns the Error for a read that failed: the data has ended, or the
// source has failed.
func readError(entry string, err error) error {
	if known, is := errors.AsType[*Error](err); is {
		return known
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTruncated
	}
	return &Error{Stage: StageContainer, Entry: entry, Err: err}
}
