package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func TestDemo(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"--demo"}, &out); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, part := range []string{
		"switched: true\n", "desires", "switched: false\n", `was told {"on":true}; the shadow says`, `"pump":false`,
	} {
		var found bool
		if _, rest, found = strings.Cut(rest, part); !found {
			t.Errorf("no %q, in this order, in\n%s", part, out.String())
		}
	}
}

// TestDemoInterrupted: Ctrl-C ends it at any moment, and nothing stays.
func TestDemoInterrupted(t *testing.T) {
	for after := range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(after)*10*time.Millisecond)
		if err := run(ctx, []string{"--demo"}, io.Discard); err != nil {
			t.Errorf("after %d0 ms: %v", after, err)
		}
		cancel()
	}
}

// newTestVariant returns a variant that does not run.
func newTestVariant(t *testing.T, out io.Writer) *variant {
	line := ccmtest.NewUART(ccmtest.Line{})
	v, err := newVariant(line.OpenModule, &cloud.Config{Servers: []string{"mqtt://127.0.0.1"}}, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDelta(t *testing.T) {
	var out strings.Builder
	v := newTestVariant(t, &out)
	for _, c := range []struct{ delta, host, said string }{
		{`{"led":1}`, `{"led":1}`, ""},
		{`{"pump":true}`, ``, "the pump is switched: true\n"},
		{`{"pump":false,"led":1}`, `{"led":1}`, "the pump is switched: false\n"},
		{`{"pump":101}`, ``, "a pump cannot be 101\n"},
		{`{"pump":null,"led":1}`, `{"led":1}`, "a pump cannot be null\n"},
	} {
		out.Reset()
		if got := v.onDelta(t.Context(), nil, []byte(c.delta)); string(got) != c.host || out.String() != c.said {
			t.Errorf("%s: the host gets %s, printed %q", c.delta, got, out.String())
		}
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"": "usage:", "--demo x y": "usage:", "/dev/x": "usage:", "/dev/x http://y": "scheme must be mqtt",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := run(ctx, []string{"/no/such/port", "mqtt://127.0.0.1:1"}, io.Discard); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
