package ccm

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// The RPC over MQTT (library rpc-mqtt of Mongoose OS): a frame published to
// ID/rpc is a call, and its answer goes to SRC/rpc, where SRC is the member src
// of the frame. On ID/rpc/METHOD the method comes from the topic.

// serveCloud subscribes to the calls from the cloud. The one filter ID/rpc/#
// also matches ID/rpc.
func (m *Module) serveCloud() {
	filter := m.cfg.ID + "/rpc/#"
	m.router.addHandler(filter, 1, m.cloudCall)
	m.cloud.SubscribeFunc(cloud.Subscription{Filter: filter, QoS: 1}, func(err error) {
		if err != nil && !errors.Is(err, cloud.ErrOffline) {
			m.log.Error("no calls from the cloud", "filter", filter, "err", err)
		}
	})
}

// cloudCall takes a call from the cloud.
func (m *Module) cloudCall(msg *cloud.Message) {
	c, err := m.takeCloudCall(msg)
	switch refusal, is := errors.AsType[*access.Refusal](err); {
	case is && refusal.Code == jsonrpc.CodeBusy:
		m.stats.cloudCalls.Add(1)
		m.stats.cloudBusy.Add(1)
		return
	case errors.Is(err, channel.ErrUnanswered):
		m.stats.cloudCalls.Add(1)
		return
	case err != nil:
		m.stats.cloudBad.Add(1)
		m.complain("call from the cloud dropped", "", "topic", msg.Topic, "bytes", len(msg.Payload), "err", err)
		return
	}
	m.stats.cloudCalls.Add(1)
	if c.Ready() { // a refusal, which must not wait here
		if c.Code() == jsonrpc.CodeBusy {
			m.stats.cloudBusy.Add(1)
		}
		if err := c.Serve(m.running.Load().ctx, func(reply []byte) error { return m.refuseCloud(c, reply) }); err != nil {
			m.unsent(c, err)
		}
		return
	}
	m.workers.Go(func() {
		err := c.Serve(m.running.Load().ctx, func(reply []byte) error { return m.answerCloud(c, reply) })
		if err != nil {
			m.unsent(c, err)
		}
	})
}

var (
	errNoSource  = errors.New("ccm: a call without src cannot be answered")
	errBadSource = errors.New("ccm: src is not usable as a topic")
	errRetained  = errors.New("ccm: a retained call would be served at every connect")
)

// takeCloudCall reads a call from the cloud and decides about it.
func (m *Module) takeCloudCall(msg *cloud.Message) (*channel.Call, error) {
	if msg.Retain {
		return nil, errRetained
	}
	method := strings.TrimPrefix(strings.TrimPrefix(msg.Topic[len(m.cfg.ID):], "/rpc"), "/")
	o := &access.Origin{Role: access.Cloud, Channel: access.MQTT}
	return m.keep.service.Take(o, channel.Frame{Text: msg.Payload, Method: method, Source: goodSource})
}

// goodSource reports why an answer cannot go to src.
func goodSource(src string) error {
	if src == "" {
		return errNoSource
	}
	if cloud.ValidTopic(src+"/rpc", false) != nil {
		return errBadSource
	}
	return nil
}

// refuseCloud publishes a refusal, without waiting.
func (m *Module) refuseCloud(c *channel.Call, reply []byte) error {
	return m.cloud.PublishFunc(answerMessage(c, reply), func(err error) {
		if err != nil {
			m.stats.cloudUnsent.Add(1)
		}
	})
}

// answerCloud publishes an answer.
func (m *Module) answerCloud(c *channel.Call, reply []byte) (err error) {
	m.within(answerLife, func(ctx context.Context) { err = m.publishSoon(ctx, answerMessage(c, reply)) })
	if errors.Is(err, cloud.ErrTooLarge) {
		return channel.ErrTooLong
	}
	return err
}

// answerMessage is the message that carries an answer.
func answerMessage(c *channel.Call, reply []byte) cloud.Message {
	return cloud.Message{Topic: c.Source() + "/rpc", QoS: 1, Payload: reply}
}

// unsent notes an answer that could not be sent.
func (m *Module) unsent(c *channel.Call, err error) {
	m.stats.cloudUnsent.Add(1)
	m.complain("answer to the cloud not sent", "", "dst", c.Source(), "err", err)
}

// publishSoon publishes a message, and waits for a connection if there is none.
func (m *Module) publishSoon(ctx context.Context, msg cloud.Message) error {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		err := m.cloud.Publish(ctx, msg)
		if !errors.Is(err, cloud.ErrOffline) {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return err
		}
	}
}

// within calls f with a ctx that ends after d, or with Run.
func (m *Module) within(d time.Duration, f func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(m.running.Load().ctx, d)
	defer cancel()
	f(ctx)
}
