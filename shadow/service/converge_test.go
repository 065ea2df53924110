package service_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// hub is a broker that several clients share, each through a line.
type hub struct {
	mu    sync.Mutex
	lines []*line
}

// line is the connection of a client to the hub. It is a shadow.Transport.
type line struct {
	hub     *hub
	offline bool // guarded by hub.mu, like filters and handle
	filters []string
	handle  func(topic string, payload []byte)
	inbox   chan message
}

// connect makes a line, whose messages are delivered until ctx ends.
func (h *hub) connect(ctx context.Context, wg *sync.WaitGroup) *line {
	l := &line{hub: h, inbox: make(chan message, 1000)}
	h.mu.Lock()
	h.lines = append(h.lines, l)
	h.mu.Unlock()
	wg.Go(func() {
		for {
			select {
			case m := <-l.inbox:
				h.mu.Lock()
				handle := l.handle
				h.mu.Unlock()
				handle(m.topic, []byte(m.payload))
			case <-ctx.Done():
				return
			}
		}
	})
	return l
}

func (l *line) setOffline(off bool) {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.offline = off
}

func (l *line) Publish(_ context.Context, topic string, _ byte, payload []byte) error {
	time.Sleep(time.Millisecond)
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if l.offline {
		return errOffline
	}
	for _, to := range l.hub.lines {
		if !to.offline && slices.ContainsFunc(to.filters, func(f string) bool { return matches(f, topic) }) {
			to.inbox <- message{topic, string(payload)}
		}
	}
	return nil
}

func (l *line) Subscribe(_ context.Context, filters []string, _ byte, handle func(string, []byte)) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if l.offline {
		return errOffline
	}
	l.filters, l.handle = filters, handle
	return nil
}

// matches reports whether a filter, which may have + for a level, takes a topic.
func matches(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	return slices.EqualFunc(f, t, func(a, b string) bool { return a == "+" || a == b })
}

// TestConverge has a device, with the Syncer and the dialect of package
// shadow/aws, obey a shadow that a program changes at random, while the
// connections of the device and of the service come and go, and the service
// starts anew from its disk (reliability.md S1): when all is quiet the device has
// what is desired.
func TestConverge(t *testing.T) {
	for seed := range heavy(400) {
		bubble(t, func(t *testing.T) { converge(t, rand.New(rand.NewPCG(seed, 2))) })
	}
}

func converge(t *testing.T, rnd *rand.Rand) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	h := &hub{}
	device, cloud := h.connect(ctx, &wg), h.connect(ctx, &wg)

	backend, err := aws.New(device, "t", "")
	if err != nil {
		t.Fatal(err)
	}
	var syncer *shadow.Syncer
	syncer = shadow.NewSyncer(shadow.Config{Backend: backend, Deliver: func(_ context.Context, delta []byte) error {
		return syncer.Report(slices.Clone(delta))
	}})
	wg.Go(func() { syncer.Run(ctx) })
	syncer.SetOnline(true)
	syncer.HostReady()

	cfg := service.WithDisk(service.Config{Transport: cloud, Dir: "d", Workers: 2}, faultfs.New())
	var s *service.Service
	stop := func() {}
	restart := func() {
		stop()
		if s, err = service.New(cfg); err != nil {
			t.Fatal(err)
		}
		stop = run(t, s)
	}
	restart()
	offline := false
	setOffline := func(off bool) {
		if device.setOffline(off); off != offline {
			syncer.SetOnline(!off)
		}
		offline = off
	}
	for n := range 60 {
		time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
		switch rnd.IntN(10) {
		case 0:
			setOffline(rnd.IntN(2) == 0)
		case 1:
			cloud.setOffline(rnd.IntN(2) == 0)
		case 2:
			restart()
		case 3:
			syncer.Report([]byte(`{"uptime":` + code(n) + `}`))
		default:
			patch := fmt.Sprintf(`{"state":{"desired":{"k%d":%d,"o":{"m%d":[%d]}}}}`, rnd.IntN(3), rnd.IntN(4), rnd.IntN(2), rnd.IntN(3))
			if _, err := s.Update(t.Context(), "t", "", []byte(patch)); err != nil {
				t.Error(err)
			}
		}
	}
	cloud.setOffline(false)
	setOffline(false)
	time.Sleep(5 * time.Minute)
	doc, err := s.Get("t", "")
	if err != nil || contains(string(doc), `"delta":`) {
		t.Errorf("%s, %v", doc, err)
	}
	stop()
}

// obedient runs a device that does what is desired at once.
func obedient(ctx context.Context, t *testing.T, wg *sync.WaitGroup, device shadow.Transport) *shadow.Syncer {
	backend, err := aws.New(device, "t", "")
	if err != nil {
		t.Fatal(err)
	}
	var syncer *shadow.Syncer
	syncer = shadow.NewSyncer(shadow.Config{Backend: backend, Deliver: func(_ context.Context, delta []byte) error {
		return syncer.Report(delta)
	}})
	wg.Go(func() { syncer.Run(ctx) })
	return syncer
}

// TestDeepest: what the service takes as the desired state, a device can report.
func TestDeepest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		h := &hub{}
		device, cloud := h.connect(ctx, &wg), h.connect(ctx, &wg)
		syncer := obedient(ctx, t, &wg, device)
		s, err := service.New(service.Config{Transport: cloud})
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, s)
		syncer.SetOnline(true)
		time.Sleep(time.Second)
		if _, err := s.Update(ctx, "t", "", []byte(`{"state":{"desired":`+nested(7)+`}}`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if doc, err := s.Get("t", ""); err != nil || contains(string(doc), `"delta":`) {
			t.Errorf("%s, %v", doc, err)
		}
		stop()
	})
}

// TestForgotten: a service that has lost its shadows counts versions from 1 again,
// and a device that is connected gets what is desired then.
func TestForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		h := &hub{}
		device, cloud := h.connect(ctx, &wg), h.connect(ctx, &wg)
		syncer := obedient(ctx, t, &wg, device)
		syncer.SetOnline(true)
		for life := range 2 {
			s, err := service.New(service.Config{Transport: cloud}) // in memory
			if err != nil {
				t.Fatal(err)
			}
			stop := run(t, s)
			time.Sleep(time.Minute)
			for i := range 5 - 3*life {
				mustUpdate(t, s, "t", "", `{"desired":{"a":`+code(10*life+i)+`}}`)
				time.Sleep(time.Second)
			}
			if doc, err := s.Get("t", ""); err != nil || contains(string(doc), `"delta":`) {
				t.Errorf("life %d: %s, %v", life, doc, err)
			}
			stop()
		}
	})
}
