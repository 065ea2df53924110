package service

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/shadow"
)

// Bounds of what waits.
const (
	queueLen   = 64  // requests for each worker
	refusedLen = 256 // refusals that are to be published
)

// The pauses before something that failed because the broker cannot be reached
// is tried again; each is twice the one before.
const (
	firstPause = time.Second
	lastPause  = 10 * time.Second
)

// Run subscribes to the topics of requests and serves them until ctx ends, then
// it returns nil. While the broker cannot be reached it goes on trying, 1 to 10
// seconds apart; the package comment says what is lost meanwhile. All its
// goroutines have ended when it returns. It may be run again.
func (s *Service) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)
	in := newIntake(s.cfg.Workers)
	var wg sync.WaitGroup
	for _, queue := range in.queues {
		wg.Go(func() { s.work(ctx, queue) })
	}
	wg.Go(func() { s.refuse(ctx, in.refused) })
	wg.Go(func() { s.settle(ctx) })
	s.subscribe(ctx, in)
	wg.Wait() // until ctx ends
	return nil
}

// subscribe tries until the requests are subscribed or ctx ends.
func (s *Service) subscribe(ctx context.Context, in *intake) {
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, lastPause) {
		attempt := s.attempt.Add(1)
		err := s.cfg.Transport.Subscribe(ctx, filters, qos, func(topic string, payload []byte) {
			// A transport may still know the attempts before, and earlier Runs.
			if s.attempt.Load() == attempt && ctx.Err() == nil {
				s.receive(in, topic, payload)
			}
		})
		switch {
		case err == nil:
			s.note(Event{Kind: EventOnline})
			return
		case ctx.Err() != nil:
			return
		}
		s.note(Event{Kind: EventOffline, Err: err})
		sleep(ctx, pause)
	}
}

// sleep waits, but not longer than ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// intake holds the requests of one Run that wait.
type intake struct {
	queues  []chan job // one for each turn
	refused chan job
}

func newIntake(workers int) *intake {
	in := &intake{queues: make([]chan job, workers), refused: make(chan job, refusedLen)}
	for i := range in.queues {
		in.queues[i] = make(chan job, queueLen)
	}
	return in
}

// receive takes a message from the transport. It does not block: if too many
// requests wait for one worker the request is refused, and if too many refusals
// wait it is dropped.
func (s *Service) receive(in *intake, topic string, payload []byte) {
	i, op, is := parseTopic(topic)
	if !is || len(topic) > maxTopic {
		s.note(Event{Kind: EventIgnored, Topic: strings.Clone(topic[:min(len(topic), maxTopic)])})
		return
	}
	j := job{topic: topic, id: i, op: op}
	switch {
	case !i.valid():
		j.refused = badRequest(invalidName)
	case s.oversized(payload):
		j.refused = tooLarge()
	default:
		j.payload = bytes.Clone(payload)
		select {
		case in.queues[s.turns.of(i.thing)] <- j:
			return
		default:
			j.payload, j.refused = nil, tooMany("requests")
		}
	}
	j.token = tokenOf(payload)
	select {
	case in.refused <- j:
	default:
		s.note(Event{Kind: EventDropped, Thing: i.thing, Shadow: i.name, Topic: topic})
	}
}

// tokenOf returns the clientToken of a request that is refused whatever it says.
func tokenOf(payload []byte) []byte {
	var r request
	if jsonrpc.Valid(payload) {
		r.setToken(findMembers(payload).token)
	}
	return r.token
}

// work serves the requests of a queue until ctx ends.
func (s *Service) work(ctx context.Context, queue <-chan job) {
	for {
		select {
		case j := <-queue:
			done := s.serve(ctx, j)
			if refused, is := errors.AsType[*shadow.Error](done.err); is {
				s.reject(ctx, j, refused, done.token)
			}
		case <-ctx.Done():
			return
		}
	}
}

// refuse publishes the refusals made on receipt until ctx ends.
func (s *Service) refuse(ctx context.Context, refused <-chan job) {
	for {
		select {
		case j := <-refused:
			s.note(Event{Kind: EventRejected, Thing: j.id.thing, Shadow: j.id.name, Topic: j.topic, Err: j.refused})
			s.reject(ctx, j, j.refused, j.token)
		case <-ctx.Done():
			return
		}
	}
}

// reject publishes a refusal.
func (s *Service) reject(ctx context.Context, j job, refused *shadow.Error, token []byte) {
	s.publish(ctx, j.id, publication{j.topic + "/rejected", rejection(refused, time.Now().Unix(), token)})
}
