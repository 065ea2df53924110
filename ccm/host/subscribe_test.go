package host_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// broker answers MQTT.Sub with the code that is set, 0 for success, and logs the
// filters; it says nothing while silent.
type broker struct {
	code   atomic.Int32
	silent atomic.Bool

	mu    sync.Mutex
	asked []string
	times []time.Duration
	start time.Time
}

func (b *broker) ServeRPC(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	if string(r.Method()) != "MQTT.Sub" {
		return
	}
	topic, _ := r.Param("topic").Text()
	qos, _ := r.Param("qos").Int()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, topic+" "+strconv.FormatInt(qos, 10))
	b.times = append(b.times, time.Since(b.start).Round(time.Second))
	if c := b.code.Load(); b.silent.Load() {
		w.Detach()
	} else if c != 0 {
		w.Error(int(c), "no")
	}
}

// take returns what was asked since the last call.
func (b *broker) take() []string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := b.asked
	b.asked, b.times = nil, nil
	b.start = time.Now()
	return asked
}

func TestRefusedSubscriptionIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, b := host.New(nil), &broker{}
		m, end := attach(t, h, b)
		synctest.Wait()
		for _, code := range []int{jsonrpc.CodeDenied, jsonrpc.CodeUnauthorized, jsonrpc.CodeInvalidParams, jsonrpc.CodeMethodNotFound} {
			b.code.Store(int32(code))
			e, is := errors.AsType[*jsonrpc.Error](h.Subscribe(t.Context(), "secret", 1, nil))
			if !is || e.Code != code {
				t.Errorf("%d: got %v", code, e)
			}
		}
		b.take()
		m.Notify(t.Context(), "Sys.Init", "")
		time.Sleep(time.Hour)
		if asked := b.take(); len(asked) != 0 {
			t.Errorf("sent again: %q", asked)
		}
		end()
	})
}

// A subscription that the module refuses to change stays as it was.
func TestRefusedChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, b := host.New(nil), &broker{}
		m, end := attach(t, h, b)
		synctest.Wait()
		var got []string
		handle := func(name string) host.MessageFunc {
			return func(_ context.Context, _ string, p []byte) { got = append(got, name+string(p)) }
		}
		if err := h.Subscribe(t.Context(), "t", 0, handle("old")); err != nil {
			t.Error(err)
		}
		b.code.Store(jsonrpc.CodeDenied)
		if err := h.Subscribe(t.Context(), "t", 1, handle("new")); err == nil {
			t.Error("not refused")
		}
		m.Notify(t.Context(), "MQTT.Message", "{%Q:%Q,%Q:%Q}", "topic", "t", "message", "!")
		synctest.Wait()
		if !slices.Equal(got, []string{"old!"}) {
			t.Errorf("got %q", got)
		}
		b.take()
		m.Notify(t.Context(), "Sys.Init", "")
		if asked := b.take(); !slices.Equal(asked, []string{"t 0"}) {
			t.Errorf("sent again: %q", asked)
		}
		end()
	})
}

// What the module could not take is sent again, with pauses that grow.
func TestFailedSubscriptionIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, b := host.New(nil), &broker{}
		for _, f := range []string{"a", "b"} {
			if err := h.Subscribe(t.Context(), f, 0, nil); err != nil {
				t.Error(err)
			}
		}
		b.code.Store(jsonrpc.CodeBusy)
		b.take()
		m, end := attach(t, h, b)
		time.Sleep(200 * time.Second)
		var want []time.Duration
		for _, s := range []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183} {
			want = append(want, s*time.Second, s*time.Second)
		}
		b.mu.Lock()
		if !slices.Equal(b.times, want) {
			t.Errorf("sent at %v, want %v", b.times, want)
		}
		b.mu.Unlock()
		b.take()
		b.code.Store(0)
		m.Notify(t.Context(), "Sys.Init", "") // no pause now
		if asked := b.take(); !slices.Equal(asked, []string{"a 0", "b 0"}) {
			t.Errorf("after Sys.Init: %q", asked)
		}

		b.code.Store(jsonrpc.CodeBusy)
		if err := h.Subscribe(t.Context(), "c", 1, nil); !errors.Is(err, jsonrpc.ErrBusy) {
			t.Errorf("got %v", err)
		}
		time.Sleep(1500 * time.Millisecond)
		b.code.Store(0)
		b.take()
		time.Sleep(time.Hour)
		if asked := b.take(); !slices.Equal(asked, []string{"c 1"}) {
			t.Errorf("after busy: %q", asked)
		}
		end()
	})
}

// A module that is silent at first gets the subscriptions when it is back.
func TestSilentModule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, b := host.New(&host.Config{Retries: -1}), &broker{}
		h.Subscribe(t.Context(), "a", 0, nil)
		b.silent.Store(true)
		_, end := attach(t, h, b)
		synctest.Wait()
		if err := h.Subscribe(t.Context(), "b", 0, nil); !errors.Is(err, jsonrpc.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		b.take()
		b.silent.Store(false)
		time.Sleep(time.Minute)
		if asked := b.take(); len(asked) != 2 || !slices.Contains(asked, "a 0") || !slices.Contains(asked, "b 0") {
			t.Errorf("sent again: %q", asked)
		}
		end()
		_, end = attach(t, h, b)
		if asked := b.take(); !slices.Equal(asked, []string{"a 0", "b 0"}) {
			t.Errorf("on the next port: %q", asked)
		}
		end()
	})
}

func TestTooManySubscriptions(t *testing.T) {
	h := host.New(nil)
	for i := range 128 {
		if err := h.Subscribe(t.Context(), "t/"+strconv.Itoa(i), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Subscribe(t.Context(), "t", 0, nil); !errors.Is(err, host.ErrTooManySubscriptions) {
		t.Errorf("one more: %v", err)
	}
	if err := h.Subscribe(t.Context(), "t/7", 1, nil); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	h.Unsubscribe(t.Context(), "t/7")
	if err := h.Subscribe(t.Context(), "t", 0, nil); err != nil {
		t.Errorf("in the place of another: %v", err)
	}
}
