package wire

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Faults are probabilities per byte, each 0..1; their sum must not exceed 1.
// At most one fault hits a byte.
type Faults struct {
	Drop   float64 // the byte is lost
	Flip   float64 // one random bit of it is inverted
	Dup    float64 // it arrives twice
	Insert float64 // a random byte arrives before it
	Break  float64 // it arrives as NUL, as after a break or a framing error
}

// Uniform returns faults with total probability p per byte, spread evenly over
// the first four kinds.
func Uniform(p float64) Faults { return Faults{Drop: p / 4, Flip: p / 4, Dup: p / 4, Insert: p / 4} }

// Stats counts the bytes of one direction.
type Stats struct {
	Written    uint64 // bytes given to Write, faults not yet applied
	Delivered  uint64 // bytes put on the line
	Dropped    uint64
	Flipped    uint64
	Duplicated uint64
	Inserted   uint64
	Broken     uint64 // breaks, those of End.Break included
	Overrun    uint64 // delivered, but lost because the buffer was full
}

// Faults returns the number of faults injected.
func (s Stats) Faults() uint64 {
	return s.Dropped + s.Flipped + s.Duplicated + s.Inserted + s.Broken
}

// speed is how fast a direction is: baud bits per second, 0 for no limit, of
// which a byte takes bits.
type speed struct{ baud, bits int }

// duration returns how long n bytes take.
func (s speed) duration(n int) time.Duration {
	if s.baud <= 0 {
		return 0
	}
	return time.Duration(n*s.bits) * time.Second / time.Duration(s.baud)
}

// line is one direction: a ring buffer with one writer at a time.
type line struct {
	token chan struct{} // held by the writer; a channel, so that waiting for it is durable
	free  time.Time     // when the line is idle again; owned by the token's holder
	out   []byte        // scratch of spoil; owned by the token's holder
	timer *time.Timer   // of pace; nil if it has never waited; owned by the token's holder

	mu      sync.Mutex // never held while sleeping
	cond    sync.Cond
	ring    []byte
	head    int       // next byte to read
	n       int       // bytes waiting
	since   time.Time // when the first of them came; only with Options.Merge
	speed   speed
	ended   bool
	deaf    bool // the reading end is gone, bytes vanish
	stalled bool
	faults  Faults
	rng     *rand.Rand
	cut     *rand.Rand // sizes of reads
	stats   Stats
}

func newLine(size int, f Faults, seed, stream uint64) *line {
	l := &line{
		token: make(chan struct{}, 1), ring: make([]byte, size), out: make([]byte, 0, 2*burst),
		faults: f, rng: rand.New(rand.NewPCG(seed, stream)), cut: rand.New(rand.NewPCG(seed, stream+2)),
	}
	l.cond.L = &l.mu
	return l
}

// spoil returns p after the faults, in the scratch buffer. Every byte takes
// exactly two draws, so the outcome does not depend on how writes are cut.
func (l *line) spoil(p []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Written += uint64(len(p))
	out, f := l.out[:0], l.faults
	if f == (Faults{}) {
		out = append(out, p...)
		l.stats.Delivered += uint64(len(out))
		return out
	}
	for _, b := range p {
		u, r := l.rng.Float64(), l.rng.Uint64()
		switch {
		case u < f.Drop:
			l.stats.Dropped++
			continue
		case u < f.Drop+f.Flip:
			l.stats.Flipped++
			b ^= 1 << (r & 7)
		case u < f.Drop+f.Flip+f.Dup:
			l.stats.Duplicated++
			out = append(out, b)
		case u < f.Drop+f.Flip+f.Dup+f.Insert:
			l.stats.Inserted++
			out = append(out, byte(r))
		case u < f.Drop+f.Flip+f.Dup+f.Insert+f.Break:
			l.stats.Broken++
			b = 0
		}
		out = append(out, b)
	}
	l.stats.Delivered += uint64(len(out))
	return out
}

// broken returns what a break reads as, in the scratch buffer.
func (l *line) broken() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Broken++
	l.stats.Delivered++
	return append(l.out[:0], 0)
}

// ripen notes that bytes are about to come, which are to be kept back for merge.
// The lock is held.
func (l *line) ripen(merge time.Duration) {
	if merge > 0 && l.n == 0 {
		l.since = time.Now()
		time.AfterFunc(merge, l.wake)
	}
}

// ripe reports whether the bytes that wait may be read. The lock is held.
func (l *line) ripe(merge time.Duration) bool {
	return merge <= 0 || l.n >= MergeSize || l.ended || time.Since(l.since) >= merge
}

// share returns how many of the bytes that wait a read for at most room bytes
// gets. The lock is held.
func (l *line) share(room int, split bool) int {
	n := min(room, l.n)
	if split && n > 1 {
		n = 1 + l.cut.IntN(n)
	}
	return n
}

// put copies what fits of p into the ring. The lock is held.
func (l *line) put(p []byte) int {
	n := 0
	for n < len(p) && l.n < len(l.ring) {
		tail := (l.head + l.n) % len(l.ring)
		end := len(l.ring)
		if tail < l.head {
			end = l.head
		}
		k := copy(l.ring[tail:end], p[n:])
		l.n += k
		n += k
	}
	return n
}

// get copies waiting bytes to p. The lock is held.
func (l *line) get(p []byte) int {
	n := 0
	for n < len(p) && l.n > 0 {
		k := copy(p[n:], l.ring[l.head:min(l.head+l.n, len(l.ring))])
		l.head = (l.head + k) % len(l.ring)
		l.n -= k
		n += k
	}
	return n
}

// end marks the direction as over, or with deaf only its reader as gone.
func (l *line) end(deaf bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if deaf {
		l.deaf, l.n = true, 0
	} else {
		l.ended = true
	}
	l.cond.Broadcast()
}

// reopen gives the direction a new reader.
func (l *line) reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf, l.n = false, 0
	l.cond.Broadcast()
}

// wake makes blocked readers and writers look again.
func (l *line) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cond.Broadcast()
}
