package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// prefix is the topic of the shadows of the thing of most tests.
const prefix = "$aws/things/t/shadow/"

var errOffline = errors.New("offline")

// message is what was published.
type message struct {
	topic   string
	payload string
}

// bus is a broker and the transport of the service.
type bus struct {
	mu      sync.Mutex
	offline bool
	delay   time.Duration            // of an acknowledgement
	veto    func(topic string) error // asked before a message is taken, if set
	qos     byte                     // lowest seen
	sent    []message
	handle  []func(topic string, payload []byte)
	filters []string
}

func newBus() *bus { return &bus{qos: 2} }

func (b *bus) Publish(ctx context.Context, topic string, qos byte, payload []byte) error {
	b.mu.Lock()
	delay := b.delay
	b.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.veto != nil {
		if err := b.veto(topic); err != nil {
			return err
		}
	}
	if b.offline {
		return errOffline
	}
	b.qos = min(b.qos, qos)
	b.sent = append(b.sent, message{topic, string(payload)})
	return ctx.Err()
}

func (b *bus) Subscribe(_ context.Context, filters []string, _ byte, handle func(string, []byte)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handle = append(b.handle, handle) // also of attempts that fail
	if b.offline {
		return errOffline
	}
	b.filters = filters
	return nil
}

// setDelay sets how long an acknowledgement takes.
func (b *bus) setDelay(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delay = d
}

// subscribed returns the filters that the service has subscribed.
func (b *bus) subscribed() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.filters
}

// setOffline takes the service off the broker or brings it back.
func (b *bus) setOffline(off bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offline = off
}

// request publishes a request.
func (b *bus) request(topic, payload string) {
	b.mu.Lock()
	handle := slices.Clone(b.handle)
	b.mu.Unlock()
	p := []byte(payload)
	for _, h := range handle {
		h(topic, p)
	}
	clear(p) // the service must not keep it
}

// take returns what was published since the last call.
func (b *bus) take() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	sent := b.sent
	b.sent = nil
	return sent
}

// ask publishes a request and returns what the service publishes in turn. It
// needs a bubble.
func (b *bus) ask(topic, payload string) []message {
	b.take()
	b.request(topic, payload)
	synctest.Wait()
	return b.take()
}

// start makes a service and runs it in the bubble of the test.
func start(t *testing.T, cfg service.Config) (*service.Service, *bus) {
	t.Helper()
	b := newBus()
	cfg.Transport = b
	s, err := service.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	synctest.Wait()
	return s, b
}

// run runs a service until the function it returns is called, or the test ends.
func run(t *testing.T, s *service.Service) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// bubble runs a test in a synctest bubble at the time of the transcripts.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(1700000000, 0)))
		f(t)
	})
}

// object decodes a payload, numbers as they are spelled.
func object(t testing.TB, payload string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(payload))
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return o
}

// same reports whether two texts are the same JSON value.
func same(a, b string) bool { return shadow.Equal([]byte(a), []byte(b)) }

// topics returns the topics of messages.
func topics(sent []message) []string {
	var list []string
	for _, m := range sent {
		list = append(list, m.topic)
	}
	return list
}

// expect compares messages with wanted pairs of topic and payload.
func expect(t *testing.T, what string, got []message, want ...string) {
	t.Helper()
	ok := 2*len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = got[i].topic == want[2*i] && same(got[i].payload, want[2*i+1])
	}
	if ok {
		return
	}
	t.Errorf("%s:", what)
	for _, m := range got {
		t.Errorf("   got %s %s", m.topic, m.payload)
	}
	for i := 0; i < len(want); i += 2 {
		t.Errorf("  want %s %s", want[i], want[i+1])
	}
}

// refusal returns the code of an error.
func refusal(err error) int {
	if e, is := errors.AsType[*shadow.Error](err); is {
		return e.Code
	}
	return 0
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// config is the configuration of most tests.
func config() service.Config { return service.Config{Workers: 4} }

// files returns the names of the files in a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// events collects what an observer is told, but for EventOnline.
type events struct {
	mu   sync.Mutex
	list []service.Event
}

func (e *events) observe(event service.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if event.Kind != service.EventOnline {
		e.list = append(e.list, event)
	}
}

// take returns the events since the last call.
func (e *events) take() []service.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}
