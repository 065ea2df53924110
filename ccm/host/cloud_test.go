package host_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

func TestOnDelta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		h.OnDelta(nil)
		got := make(chan string, 9)
		m, end := attach(t, h, nil)
		list := func() string {
			l, err := m.Call(t.Context(), nil, "RPC.List", "")
			if err != nil {
				t.Error(err)
			}
			return string(l)
		}
		builtIn := `"MQTT.Message","Sys.Init","RPC.List","RPC.Ping","Sys.Info"]`
		if l := list(); l != "["+builtIn {
			t.Errorf("without a handler: %s", l)
		}
		for _, name := range []string{"a", "b"} {
			h.OnDelta(func(_ context.Context, delta []byte) { got <- name + string(delta) })
		}
		if l := list(); l != `["Shadow.Delta",`+builtIn {
			t.Errorf("with a handler: %s", l)
		}
		m.Call(t.Context(), nil, "Shadow.Delta", "{%Q:%d}", "x", 1)
		h.OnDelta(nil)
		if _, err := m.Call(t.Context(), nil, "Shadow.Delta", "{}"); err != nil {
			t.Errorf("ignored delta: %v", err)
		}
		end()
		if len(got) != 1 || <-got != `b{"x":1}` {
			t.Errorf("got %d deltas", len(got))
		}
	})
}

func TestConfigSetNeedsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		m, end := attach(t, h, answers("null"))
		m.frames()
		if err := h.ConfigSet(t.Context(), ""); !errors.Is(err, jsonrpc.ErrInvalidJSON) {
			t.Errorf("got %v", err)
		}
		if f := m.frames(); len(f) != 0 {
			t.Errorf("sent %q", f)
		}
		end()
	})
}

func TestRefusesBadArguments(t *testing.T) {
	h := host.New(nil)
	ctx := t.Context()
	for _, topic := range []string{"", "a/+", "a/#", "a\x00b", "a\xff", strings.Repeat("x", 1025)} {
		if err := h.Publish(ctx, topic, nil, 0); !errors.Is(err, host.ErrTopic) {
			t.Errorf("Publish(%q): %v", topic, err)
		}
	}
	for _, filter := range []string{"", "a/#/b", "a+", "#a", "a\x00"} {
		if err := h.Subscribe(ctx, filter, 0, nil); !errors.Is(err, host.ErrTopic) {
			t.Errorf("Subscribe(%q): %v", filter, err)
		}
	}
	if err := h.Publish(ctx, "t", []byte{0xff}, 0); !errors.Is(err, host.ErrPayload) {
		t.Errorf("payload: %v", err)
	}
	if err := h.Publish(ctx, "t", nil, 2); !errors.Is(err, host.ErrQoS) {
		t.Errorf("qos: %v", err)
	}
	if err := h.Publish(ctx, "t", nil, 0); !errors.Is(err, host.ErrNotAttached) {
		t.Errorf("not attached: %v", err)
	}
}
