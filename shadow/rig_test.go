package shadow_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
)

// rig is a cloud, a host, and the Syncer between them, in a bubble.
type rig struct {
	*testing.T
	cloud  *cloud
	host   *host
	syncer *shadow.Syncer

	mu     sync.Mutex
	events []shadow.Event
}

// bubble runs a test with a rig.
func bubble(t *testing.T, cfg shadow.Config, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, cloud: newCloud(t, 1)}
		r.run(cfg, test)
	})
}

// run starts the Syncer, runs the test and ends the Syncer.
func (r *rig) run(cfg shadow.Config, test func(r *rig)) {
	if cfg.Backend == nil {
		b, err := aws.New(r.cloud, "thing-1", "")
		if err != nil {
			r.Fatal(err)
		}
		cfg.Backend = b
	}
	r.host = &host{t: r.T, think: 10 * time.Millisecond, state: object{}}
	if cfg.Deliver == nil {
		cfg.Deliver = r.host.deliver
	}
	cfg.Observer = r.observe
	r.syncer = shadow.NewSyncer(cfg)
	r.host.syncer = r.syncer
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.syncer.Run(ctx) }()
	test(r)
	cancel()
	if err := <-ended; err != nil {
		r.Errorf("Run: %v", err)
	}
	r.cloud.disconnect()
}

func (r *rig) observe(e shadow.Event) {
	e.Text = slices.Clone(e.Text)
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
}

// happened returns the kinds of events since the last call.
func (r *rig) happened() []string {
	var kinds []string
	for _, e := range r.taken() {
		kinds = append(kinds, e.Kind.String())
	}
	return kinds
}

func (r *rig) taken() []shadow.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.events
	r.events = nil
	return e
}

// online connects, offline disconnects.
func (r *rig) online() {
	r.cloud.connect()
	r.syncer.SetOnline(true)
}

func (r *rig) offline() {
	r.cloud.disconnect()
	r.syncer.SetOnline(false)
}

// settle lets a second pass, in which all answers come.
func (r *rig) settle() { time.Sleep(time.Second) }

// expect compares lists.
func (r *rig) expect(what string, got []string, want ...string) {
	r.Helper()
	if !slices.Equal(got, want) {
		r.Errorf("%s: %q, want %q", what, got, want)
	}
}
