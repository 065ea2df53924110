package typed_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/leakcheck"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/typed"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

type led struct {
	On    bool `json:"on"`
	Level int  `json:"level"`
}

// serve runs one request through a handler and returns the reply.
func serve(t *testing.T, h jsonrpc.Handler, params string) string {
	t.Helper()
	var m jsonrpc.Message
	frame := jsonrpc.AppendRequest(nil, []byte("1"), "M", []byte(params))
	if err := jsonrpc.Parse(frame, &m); err != nil {
		t.Fatalf("%s: %v", frame, err)
	}
	return string(jsonrpc.Serve(t.Context(), nil, &m, h))
}

func TestFunc(t *testing.T) {
	add := func(a, b float64) float64 { return a + b }
	set := func(_ context.Context, l led) (int, error) {
		if l.Level > 100 {
			return 0, &jsonrpc.Error{Code: jsonrpc.CodeDenied, Message: "too bright"}
		}
		return l.Level, nil
	}
	for _, c := range []struct {
		name   string
		fn     any
		params string
		want   string
	}{
		{"two", add, `[2,3]`, `"result":5`},
		{"one too few", add, `[2]`, `"code":-32602,"message":"params must be an array of 2"`},
		{"one too many", add, `[2,3,4]`, `"code":-32602`},
		{"not an array", add, `{"a":2}`, `"code":-32602`},
		{"wrong type", add, `[2,"x"]`, `"code":-32602,"message":"params[1]: unexpected string`},
		{"missing", add, ``, `"code":-32602`},
		{"struct", set, `{"on":true,"level":7,"more":1}`, `"result":7`},
		{"struct in an array", set, `[{"level":8}]`, `"result":8`},
		{"struct from a number", set, `5`, `"code":-32602,"message":"params: unexpected number`},
		{"struct missing", set, ``, `"code":-32602,"message":"params are missing"`},
		{"error", set, `{"level":101}`, `"code":403,"message":"too bright"`},
		{"pointer missing", func(l *led) bool { return l == nil }, ``, `"result":true`},
		{"slice", func(s []int) int { return len(s) }, `[1,2,3]`, `"result":3`},
		{"text", func(s string) string { return s + "<&>\u2028é\x01" }, `["\u00e9"]`, "\"result\":\"é<&>\u2028é\\u0001\""},
		{"map key", func() any { return map[string]int{"<\t": 1} }, ``, `"result":{"<\t":1}`},
		{"nothing", func() {}, `[1,2]`, `"result":null`},
		{"only an error", func() error { return errors.New("no") }, ``, `"code":-32603,"message":"no"`},
		{"only no error", func() error { return nil }, ``, `"result":null`},
		{"cannot encode", func() any { return func() {} }, ``, `"code":-32603`},
		{"panic", func() { panic("x") }, ``, `"code":-32603`},
	} {
		if got := serve(t, typed.Func(c.fn), c.params); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s in it", c.name, got, c.want)
		}
	}
}

func TestFuncRefuses(t *testing.T) {
	for _, fn := range []any{
		nil, 5, (func())(nil), func(...int) {}, func(int, context.Context) {},
		func() (int, int) { return 0, 0 }, func() (error, error) { return nil, nil },
		func() (int, int, error) { return 0, 0, nil },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Func(%T) did not panic", fn)
				}
			}()
			typed.Func(fn)
		}()
	}
}
