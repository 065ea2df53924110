package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// probe asks whoever is at the other end of a port, one question at a time, and
// notes everything else that comes. Unlike a jsonrpc.Conn it sends exactly what
// it is told, and answers nothing, so that nobody is confused while the speed or
// the kind of the peer is not known.
type probe struct {
	frames  *framing.Conn
	answers chan reply
	reading sync.WaitGroup
	stop    func() // waits for the end of ctx, if it has closed the port
	crc     bool   // questions get a CRC suffix; belongs to who asks

	mu    sync.Mutex
	id    int
	sent  []int // the newest ids
	notes notes
	lost  error // why reading has ended
}

// reply is what came of a question.
type reply struct {
	id        int
	result    []byte         // JSON text
	err       *jsonrpc.Error // what the peer answered instead
	complaint bool           // an error without id: the peer did not understand
	at        time.Time
	took      time.Duration
}

// notes is what came besides answers.
type notes struct {
	junk     [][]byte // the newest lines that are no frames
	methods  []string // what the peer says by itself
	broken   int      // frames that are no messages
	complain int      // errors without id
	echoes   int      // our own questions, come back
}

const (
	keptJunk    = 3
	keptMethods = 16
	keptIDs     = 64
	maxReply    = 64 << 10
)

// newProbe starts to listen on a port, which it owns, and closes when ctx ends.
func newProbe(ctx context.Context, port framing.Port) *probe {
	q := &probe{answers: make(chan reply, keptIDs), id: 10000 + rand.IntN(50000), crc: true}
	q.frames = framing.NewConn(port, &framing.Options{MaxFrame: maxReply, CRC: framing.CRCOff, Junk: q.junk})
	q.reading.Go(q.read)
	q.stop = whenDone(ctx, func() { q.frames.Close() })
	return q
}

// close closes the port and waits for the reader.
func (q *probe) close() {
	q.stop()
	q.frames.Close()
	q.reading.Wait()
}

// read takes what comes until the port fails.
func (q *probe) read() {
	defer close(q.answers)
	var m jsonrpc.Message
	for {
		line, err := q.frames.ReadFrame()
		if err != nil {
			q.mu.Lock()
			q.lost = err
			q.mu.Unlock()
			return
		}
		err = jsonrpc.Parse(line, &m)
		if !errors.Is(err, jsonrpc.ErrTrailingData) {
			q.take(&m, err)
			continue
		}
		for len(line) > 0 { // line ends were lost
			var frame []byte
			if frame, line, err = q.frames.Split(line); err != nil || len(frame) == 0 {
				break
			}
			q.take(&m, jsonrpc.Parse(frame, &m))
		}
	}
}

// take notes one message.
func (q *probe) take(m *jsonrpc.Message, err error) {
	r := reply{at: time.Now()}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil && m.Kind() != jsonrpc.KindNotification {
		r.id, _ = strconv.Atoi(string(m.ID()))
	}
	switch {
	case err != nil:
		q.notes.broken++
		return
	case m.Kind() == jsonrpc.KindCall && slices.Contains(q.sent, r.id):
		q.notes.echoes++
		return
	case m.Kind() == jsonrpc.KindCall, m.Kind() == jsonrpc.KindNotification:
		if name := string(m.Method()); !slices.Contains(q.notes.methods, name) && len(q.notes.methods) < keptMethods {
			q.notes.methods = append(q.notes.methods, name)
		}
		return
	case m.Kind() == jsonrpc.KindResult:
		r.result = slices.Clone(m.Result())
	case len(m.ID()) == 0:
		q.notes.complain++
		r.complaint = true
	default:
		r.err, _ = errors.AsType[*jsonrpc.Error](m.Err())
	}
	select {
	case q.answers <- r:
	default: // a flood: who asks has given up
	}
}

// junk notes a line that is no frame.
func (q *probe) junk(line []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.notes.junk) == keptJunk {
		q.notes.junk = q.notes.junk[1:]
	}
	q.notes.junk = append(q.notes.junk, slices.Clone(line[:min(len(line), 80)]))
}

// seen returns what came besides answers.
func (q *probe) seen() notes {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.notes
	n.junk, n.methods = slices.Clone(n.junk), slices.Clone(n.methods)
	return n
}

// question makes a call with an id of its own, which comes last, so that a host
// which cuts off what it has no room for does not answer.
func (q *probe) question(method, pad string) (line []byte, id int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.id++
	if len(q.sent) == keptIDs {
		q.sent = q.sent[1:]
	}
	q.sent = append(q.sent, q.id)
	line = append(line, `{"method":"`+method+`"`...)
	if pad != "" {
		line = append(line, `,"params":"`+pad+`"`...)
	}
	line = append(strconv.AppendInt(append(line, `,"id":`...), int64(q.id), 10), '}')
	if q.crc {
		line = framing.AppendCRC(line, line)
	}
	return line, q.id
}

// ask calls a method, and waits for at most the given time for its answer. The
// error is that of ctx or of the port, or errNoAnswer.
func (q *probe) ask(ctx context.Context, method string, wait time.Duration) (reply, error) {
	line, id := q.question(method, "")
	return q.send(ctx, line, wait, id)
}

var errNoAnswer = errors.New("no answer")

// send sends a line and waits for the answer to its id, or to another one that is
// given. A complaint counts as one: the peer did not understand the line.
func (q *probe) send(ctx context.Context, line []byte, wait time.Duration, ids ...int) (reply, error) {
	begun := time.Now()
	if err := q.frames.WriteFrame(line); err != nil {
		return reply{}, q.failure(ctx, err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case r, open := <-q.answers:
			switch {
			case !open:
				return reply{}, q.failure(ctx, nil)
			case r.complaint && r.at.After(begun), slices.Contains(ids, r.id):
				r.took = r.at.Sub(begun)
				return r, nil
			}
		case <-timer.C:
			return reply{}, errNoAnswer
		case <-ctx.Done():
			return reply{}, ctx.Err()
		}
	}
}

// failure returns why the port cannot be used.
func (q *probe) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lost != nil {
		return q.lost
	}
	return err
}

// newline ends the line of which the peer may have received a part.
func (q *probe) newline(ctx context.Context) error {
	if err := q.frames.WriteFrame(nil); err != nil {
		return q.failure(ctx, err)
	}
	return nil
}
