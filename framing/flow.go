package framing

import (
	"bytes"
	"sync/atomic"
	"time"
)

// The software flow control bytes.
const (
	xon  = 0x11
	xoff = 0x13
)

// flow is the state of software flow control between the reader, which sees
// XON and XOFF, and the writer, which waits.
type flow struct {
	base    time.Time     // times below count from here, so that clock changes do not matter
	limit   time.Duration // longest stop, 0 = no limit
	until   atomic.Int64  // end of the stop in nanoseconds, 0 = not stopped
	resume  chan struct{} // XON has come; capacity 1
	stopped atomic.Uint64 // XOFF bytes seen
	expired atomic.Uint64 // writes given up
}

func newFlow(limit time.Duration) *flow {
	return &flow{base: time.Now(), limit: limit, resume: make(chan struct{}, 1)}
}

// filter takes XON and XOFF out of p, in place, and acts on them. A nil flow
// leaves p alone.
func (f *flow) filter(p []byte) []byte {
	if f == nil {
		return p
	}
	i := bytes.IndexByte(p, xoff)
	if j := bytes.IndexByte(p, xon); i < 0 || j >= 0 && j < i {
		i = j
	}
	if i < 0 {
		return p
	}
	out := p[:i]
	for _, b := range p[i:] {
		switch b {
		case xoff:
			f.stop()
		case xon:
			f.release()
		default:
			out = append(out, b)
		}
	}
	return out
}

func (f *flow) stop() {
	f.stopped.Add(1)
	end := int64(1<<63 - 1)
	if f.limit > 0 {
		end = int64(time.Since(f.base) + f.limit)
	}
	f.until.Store(end)
}

func (f *flow) release() {
	f.until.Store(0)
	select {
	case f.resume <- struct{}{}:
	default:
	}
}

// wait returns when writing is allowed: nil at once when it is, ErrFlowStopped
// when the wait or the stop has reached the limit, ErrClosed when done is
// closed. Only one goroutine may wait.
func (f *flow) wait(done <-chan struct{}) error {
	if f == nil {
		return nil
	}
	start := int64(-1)
	for {
		until := f.until.Load()
		if until == 0 {
			return nil
		}
		now := int64(time.Since(f.base))
		if start < 0 {
			if now >= until {
				return nil // the stop was over before we came
			}
			start = now
		}
		end := until
		if f.limit > 0 {
			end = min(end, start+int64(f.limit))
		}
		if now >= end {
			f.expired.Add(1)
			return ErrFlowStopped
		}
		t := time.NewTimer(time.Duration(end - now))
		select {
		case <-f.resume:
		case <-t.C:
		case <-done:
			t.Stop()
			return ErrClosed
		}
		t.Stop()
	}
}
