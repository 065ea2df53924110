package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// userID is the client id of the user, and where answers to his calls go.
const userID = "demo-user"

// user is somebody in the cloud: a client of the broker, over TCP.
type user struct {
	*session

	mu      sync.Mutex
	lastID  int64
	waiting map[int64]chan []byte // for answers, by id
}

// newUser connects.
func newUser(ctx context.Context, address string) (*user, error) {
	u := &user{waiting: map[int64]chan []byte{}}
	cfg := cloud.Config{
		Servers: []string{"mqtt://" + address}, ClientID: userID, OnMessage: u.receive,
		BackoffMin: 100 * time.Millisecond, BackoffMax: time.Second,
	}
	var err error
	u.session, err = join(ctx, cfg, nil, userID+"/rpc")
	if err != nil {
		return nil, fmt.Errorf("connect to the demo's own broker: %w", err)
	}
	return u, nil
}

// receive takes the answers to calls.
func (u *user) receive(m *cloud.Message) {
	m.Ack()
	id, _ := mjson.Find(m.Payload, "$.id").Int()
	u.mu.Lock()
	answer := u.waiting[id]
	delete(u.waiting, id)
	u.mu.Unlock()
	if answer != nil {
		answer <- m.Payload
	}
}

// cloudCall is a call over MQTT.
type cloudCall struct {
	Src    string `json:"src"`
	ID     int64  `json:"id"`
	Method string `json:"method"`
	Params any    `json:"params,omitempty"`
}

// call calls a method through the broker. The result is JSON text, and the error
// an *jsonrpc.Error if the other side has answered one.
func (u *user) call(ctx context.Context, method string, params any) (string, error) {
	answer := make(chan []byte, 1)
	u.mu.Lock()
	u.lastID++
	id := u.lastID
	u.waiting[id] = answer
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		delete(u.waiting, id)
		u.mu.Unlock()
	}()
	frame, err := json.Marshal(cloudCall{userID, id, method, params})
	if err != nil {
		return "", err
	}
	if err := u.publish(ctx, deviceID+"/rpc", frame); err != nil {
		return "", err
	}
	select {
	case text := <-answer:
		var m jsonrpc.Message
		if err := jsonrpc.Parse(text, &m); err != nil {
			return "", err
		}
		return string(m.Result()), m.Err()
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// publish publishes with QoS 1, as soon as there is a connection.
func (u *user) publish(ctx context.Context, topic string, payload []byte) error {
	return eventually(ctx, func() error {
		return u.Publish(ctx, cloud.Message{Topic: topic, QoS: 1, Payload: payload})
	})
}
