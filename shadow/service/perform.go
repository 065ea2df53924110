package service

import (
	"context"
	"errors"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
)

// publishTimeout bounds the wait for the broker to acknowledge a message.
const publishTimeout = 10 * time.Second

// qos is that of all subscriptions and messages.
const qos = 1

// job is a request.
type job struct {
	topic   string // "" if it was not published
	id      id
	op      operation
	payload []byte

	refused *shadow.Error // if it was refused on receipt, without payload
	token   []byte        // of a refused one
}

// outcome is what comes of a request.
type outcome struct {
	answer  []byte // the payload of accepted
	version int64
	token   []byte
	err     error // a *shadow.Error, or that of the ctx
}

// publication is a message to be published.
type publication struct {
	topic   string
	payload []byte
}

// serve does a request and tells the observer.
func (s *Service) serve(ctx context.Context, j job) outcome {
	done := s.perform(ctx, j)
	e := Event{Kind: EventAccepted, Thing: j.id.thing, Shadow: j.id.name, Topic: j.topic, Version: done.version}
	if done.err != nil {
		if _, refused := errors.AsType[*shadow.Error](done.err); !refused {
			return done
		}
		e.Kind, e.Err = EventRejected, done.err
	}
	s.note(e)
	return done
}

// perform does a request and publishes what comes of it, but for rejected.
func (s *Service) perform(ctx context.Context, j job) (done outcome) {
	if s.oversized(j.payload) {
		return outcome{token: tokenOf(j.payload), err: tooLarge()}
	}
	req, refused := parseRequest(j.op, j.payload)
	if refused != nil {
		return outcome{token: req.token, err: refused}
	}
	endTurn, err := s.turns.take(ctx, j.id.thing)
	if err != nil {
		return outcome{err: err}
	}
	defer endTurn()
	switch j.op {
	case opUpdate:
		done = s.update(ctx, j.id, &req)
	case opDelete:
		done = s.delete(ctx, j.id, &req)
	default:
		if done = s.read(j.id, req.token); done.err == nil {
			s.publish(ctx, j.id, publication{j.id.topic(opGet) + "/accepted", done.answer})
		}
	}
	done.token = req.token
	return done
}

// oversized reports whether a payload is longer than any request has to be:
// twice the size of a document, for white space and members of no meaning.
func (s *Service) oversized(payload []byte) bool { return len(payload) > 2*s.cfg.MaxDocument+1024 }

// read returns a shadow as in get/accepted.
func (s *Service) read(i id, token []byte) outcome {
	r := s.table.get(i)
	if !r.exists() {
		return outcome{err: notFound(i)}
	}
	delta, err := r.delta()
	if err != nil {
		return outcome{err: internalFailure()}
	}
	return outcome{answer: r.document(delta, time.Now().Unix(), token), version: r.version}
}

// update changes a shadow.
func (s *Service) update(ctx context.Context, i id, req *request) outcome {
	before := s.table.get(i)
	if req.version >= 0 && req.version != versionOf(before) {
		return outcome{err: conflict()}
	}
	r, err := before.next(req, time.Now().Unix())
	if err != nil {
		return outcome{err: internalFailure()}
	}
	if r.size() > s.cfg.MaxDocument {
		return outcome{err: tooLarge()}
	}
	delta, err := r.delta()
	if err != nil {
		return outcome{err: internalFailure()}
	}
	if refused := s.store(i, r); refused != nil {
		return outcome{err: refused}
	}
	answer := r.accepted(req)
	topic := i.topic(opUpdate)
	messages := []publication{{topic + "/accepted", answer}}
	if delta != nil {
		messages = append(messages, publication{topic + "/delta", r.difference(delta, r.updated, req.token)})
	}
	messages = append(messages, publication{topic + "/documents", r.documents(before, req.token)})
	if s.publish(ctx, i, messages...) != nil {
		s.owed.add(i)
	}
	return outcome{answer: answer, version: r.version}
}

// delete removes a shadow.
func (s *Service) delete(ctx context.Context, i id, req *request) outcome {
	before := s.table.get(i)
	if !before.exists() {
		return outcome{err: notFound(i)}
	}
	r := before.tombstone(time.Now().Unix())
	if refused := s.store(i, r); refused != nil {
		return outcome{err: refused}
	}
	answer := r.deletion(req.token)
	s.publish(ctx, i, publication{i.topic(opDelete) + "/accepted", answer})
	return outcome{answer: answer, version: r.version}
}

// publish publishes messages in order, up to the first that fails.
func (s *Service) publish(ctx context.Context, i id, messages ...publication) error {
	for _, m := range messages {
		limited, cancel := context.WithTimeout(ctx, publishTimeout)
		err := s.cfg.Transport.Publish(limited, m.topic, qos, m.payload)
		cancel()
		if err != nil {
			s.note(Event{Kind: EventUnpublished, Thing: i.thing, Shadow: i.name, Topic: m.topic, Err: err})
			return err
		}
	}
	return nil
}
