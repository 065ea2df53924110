package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// device is a module behind a broker: frames go to DEVICE/rpc, and answers come to
// SRC/rpc (library rpc-mqtt of Mongoose OS).
type device struct {
	session *session
	topic   string
	answers chan []byte
}

// dialMQTT connects to a broker.
func dialMQTT(ctx context.Context, cfg cloud.Config, name string, who login) (remote, error) {
	cfg.ClientID = fmt.Sprintf("ccm-%08x", rand.Uint32())
	d := &device{topic: name + "/rpc", answers: make(chan []byte, 16)}
	cfg.OnMessage = func(m *cloud.Message) {
		m.Ack()
		select {
		case d.answers <- m.Payload:
		default: // nobody waits for so many
		}
	}
	src := name + "/rpc-resp/" + cfg.ClientID
	var err error
	if d.session, err = join(ctx, cfg, nil, src+"/rpc"); err != nil {
		return nil, err
	}
	return &framed{wire: d, src: src, dst: name, who: who}, nil
}

func (d *device) send(ctx context.Context, frame []byte) error {
	return d.session.Publish(ctx, cloud.Message{Topic: d.topic, QoS: 1, Payload: frame})
}

func (d *device) receive(ctx context.Context) ([]byte, error) {
	select {
	case text := <-d.answers:
		return text, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *device) close() { d.session.leave() }
