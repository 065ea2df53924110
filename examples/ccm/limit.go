package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// timing is what calls take.
type timing struct {
	least, median, most time.Duration
	lost                int
	tries               int
}

// patient returns how long an answer to a short call is waited for.
func (t timing) patient() time.Duration { return 200*time.Millisecond + 4*t.most }

// measure calls a method without effect so many times.
func measure(ctx context.Context, q *probe, method string, tries int) (t timing, err error) {
	var took []time.Duration
	for range tries {
		r, err := q.ask(ctx, method, time.Second)
		switch {
		case errors.Is(err, errNoAnswer) || r.complaint:
			t.lost++
		case err != nil:
			return t, err
		default:
			took = append(took, r.took)
		}
	}
	t.tries = tries
	if slices.Sort(took); len(took) > 0 {
		t.least, t.median, t.most = took[0], took[len(took)/2], took[len(took)-1]
	}
	return t, nil
}

// limits finds the longest frame that a peer takes.
//
// The frames grow, and the search does not go far beyond the first one without
// an answer: a host that has no room may do anything with what comes. Hosts built
// on mjson start their buffer anew when it is full, and take the rest of the line
// for a frame; what is sent here is safe for that, because the rest does not begin
// with a brace. The id is at the end, so that a host which cuts a frame off and
// runs what is left does not answer either.
type limits struct {
	q       *probe
	method  string
	patient time.Duration // wait for an answer, without the time on the wire
	perByte time.Duration // on the wire
}

// smallest is the first length that is tried: shorter calls were answered.
const smallest = 63

// find returns the longest line, in bytes without the line end, that was
// answered, and whether a longer one was not. It does not try more than most.
func (l *limits) find(ctx context.Context, most int) (longest int, ended bool, err error) {
	short, _ := l.q.question(l.method, "")
	longest = len(short) // which was answered
	for size := smallest; ; size = 2*size + 1 {
		// Buffers have a power of two of bytes: most limits are next to one.
		for _, n := range []int{size, size + 1} {
			if n > most {
				if longest == most {
					return longest, false, nil
				}
				n = most
			}
			ok, err := l.takes(ctx, n)
			if err != nil {
				return longest, false, err
			}
			if !ok {
				longest, err = l.between(ctx, longest, n)
				return longest, true, err
			}
			longest = n
		}
	}
}

// between searches between a length that was answered and one that was not.
func (l *limits) between(ctx context.Context, good, bad int) (int, error) {
	for bad-good > 1 {
		n := (good + bad) / 2
		if n < l.least() {
			return good, nil
		}
		ok, err := l.takes(ctx, n)
		switch {
		case err != nil:
			return good, err
		case ok:
			good = n
		default:
			bad = n
		}
	}
	return good, nil
}

// least returns the length of the shortest line that can be made.
func (l *limits) least() int {
	line, _ := l.q.question(l.method, "x")
	return len(line)
}

// takes reports whether the peer answers one of two lines of n bytes.
func (l *limits) takes(ctx context.Context, n int) (bool, error) {
	pad := max(n-l.least()+1, 1)
	for range 2 {
		line, id := l.q.question(l.method, strings.Repeat("x", pad))
		r, err := l.q.send(ctx, line, l.patient+time.Duration(n)*l.perByte, id)
		switch {
		case err == nil && !r.complaint:
			return true, nil
		case err != nil && !errors.Is(err, errNoAnswer):
			return false, err
		}
		if err := l.q.newline(ctx); err != nil { // whatever is left of it ends here
			return false, err
		}
	}
	return false, nil
}

// suffix says what the peer does with CRC suffixes.
type suffix struct {
	wants   bool // it does not answer without one
	takes   bool // it answers with one
	checks  bool // it does not answer with a wrong one
	sends   bool // its answers have one
	inKind  bool // ... if the questions do
	unknown bool // it answers nothing any more
}

// trySuffix finds that out, with a plain question, a good suffix and a wrong one.
// The questions are plain afterwards if the peer answers those.
func trySuffix(ctx context.Context, q *probe, method string, patient time.Duration) (s suffix, err error) {
	plain, sends, err := tryLine(ctx, q, method, patient, false, false)
	if err != nil {
		return s, err
	}
	takes, inKind, err := tryLine(ctx, q, method, patient, true, false)
	if err != nil {
		return s, err
	}
	fooled, _, err := tryLine(ctx, q, method, patient, true, true)
	q.crc = !plain
	return suffix{
		wants: takes && !plain, takes: takes, checks: takes && !fooled,
		sends: sends || !plain && inKind, inKind: inKind, unknown: !plain && !takes,
	}, err
}

// tryLine asks in one of three ways, and reports whether an answer came and had a
// suffix.
func tryLine(ctx context.Context, q *probe, method string, patient time.Duration, crc, wrong bool) (answered, answerCRC bool, err error) {
	for range fewTries {
		q.crc = crc
		line, id := q.question(method, "")
		if wrong {
			line[len(line)-1] ^= 1 // another hexadecimal digit
		}
		q.frames.ResetPeer()
		r, err := q.send(ctx, line, patient, id)
		switch {
		case err == nil && !r.complaint:
			return true, q.frames.PeerCRC(), nil
		case err != nil && !errors.Is(err, errNoAnswer):
			return false, false, err
		}
	}
	return false, false, nil
}

// String says it in words.
func (s suffix) String() string {
	switch {
	case s.unknown:
		return "unknown: it stopped to answer"
	case s.wants:
		return "required: frames without a CRC suffix are not answered"
	case !s.takes:
		return "a frame with a CRC suffix is not answered: switch it off for this peer"
	case s.checks && s.sends:
		return "sent always, and checked"
	case s.checks && s.inKind:
		return "checked, and sent once the other end does"
	case s.checks:
		return "checked, but not sent"
	case s.sends || s.inKind:
		return "sent, but not checked"
	}
	return "none; a suffix does no harm"
}
