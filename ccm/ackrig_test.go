package ccm_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// ackRig is a module whose broker notes when messages are acknowledged, and
// whose hosts' lines note when frames have left (ruling B7).
type ackRig struct {
	*rig
	broker   *ccmtest.Broker
	begun    time.Time
	stations []*station

	mu   sync.Mutex
	acks map[string][]time.Duration // since begun, by payload
}

// newAckRig runs a module with a host for each speed, named "", "b", "c" and so
// on. Every host subscribes to all/# and to only/NAME/#.
func newAckRig(t *testing.T, change func(cfg *ccm.Config), bauds ...int) *ackRig {
	r := &ackRig{begun: time.Now(), acks: map[string][]time.Duration{}}
	r.broker = newBroker(t, ccmtest.BrokerOptions{WritesPending: 1024, Observer: r.observe})
	cfg := ccm.Config{Cloud: via(r.broker)}
	for i, baud := range bauds {
		s := newStation(ccmtest.Line{Baud: baud}, ccmtest.MCUOptions{Report: ccmtest.ReportNone})
		r.stations = append(r.stations, s)
		cfg.Hosts = append(cfg.Hosts, s.config(hostNameOf(i)))
	}
	if change != nil {
		change(&cfg)
	}
	r.rig = up(t, cfg, r.stations...)
	for i, s := range r.stations {
		subscribe(t, s, "all/#", "only/"+hostNameOf(i)+"/#")
	}
	return r
}

// hostNameOf names the hosts of an ackRig.
func hostNameOf(i int) string {
	if i == 0 {
		return ""
	}
	return string(rune('a' + i))
}

// subscribe has a host subscribe to filters.
func subscribe(t *testing.T, s *station, filters ...string) {
	t.Helper()
	for _, f := range filters {
		if _, err := s.mcu.Call(t.Context(), "MQTT.Sub", "{%Q:%Q}", "topic", f); err != nil {
			t.Fatalf("MQTT.Sub %s: %v", f, err)
		}
	}
}

// observe notes the PUBACKs of the module.
func (r *ackRig) observe(e ccmtest.BrokerEvent) {
	if e.Kind == ccmtest.BrokerPuback {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.acks[string(e.Payload)] = append(r.acks[string(e.Payload)], e.At.Sub(r.begun))
	}
}

// publish publishes a message as somebody in the cloud does.
func (r *ackRig) publish(topic, payload string) {
	r.t.Helper()
	if err := r.broker.Publish(topic, 1, false, []byte(payload)); err != nil {
		r.t.Fatal(err)
	}
}

// acked returns when a message was acknowledged, which must have happened once.
func (r *ackRig) acked(payload string) time.Duration {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.acks[payload]); n != 1 {
		r.t.Errorf("message %.20q was acknowledged %d times", payload, n)
		return -1
	}
	return r.acks[payload][0]
}

// unacked demands that a message has not been acknowledged.
func (r *ackRig) unacked(payload string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.acks[payload]; len(at) > 0 {
		r.t.Errorf("message %.20q was acknowledged at %v", payload, at)
	}
}

// now is the time since the rig was made.
func (r *ackRig) now() time.Duration { return time.Since(r.begun) }

// sent is a frame with a message that has left on the line of a host.
type sent struct {
	topic, payload string
	at             time.Duration // when its LF had
}

// frames returns the messages that have left for a host, in order.
func (r *ackRig) frames(host int) (frames []sent) {
	synctest.Wait()
	var line []byte
	for _, e := range r.stations[host].uart.Trace() {
		if e.Side != ccmtest.Module || e.Kind != ccmtest.EventBytes {
			continue
		}
		for _, b := range e.Data {
			if b != '\n' {
				line = append(line, b)
				continue
			}
			if method, _ := mjson.Find(line, "$.method").Text(); method == "MQTT.Message" {
				topic, _ := mjson.Find(line, "$.params.topic").Text()
				payload, _ := mjson.Find(line, "$.params.message").Text()
				frames = append(frames, sent{topic, payload, e.At})
			}
			line = line[:0]
		}
	}
	return frames
}

// left returns when the frame of a message had left for a host, -1 if it has not.
func (r *ackRig) left(host int, payload string) time.Duration {
	frames := r.frames(host)
	i := slices.IndexFunc(frames, func(s sent) bool { return s.payload == payload })
	if i < 0 {
		return -1
	}
	return frames[i].at
}
