package jsonrpc_test

import (
	"context"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// TestServeCodes answers each failure in both dialects.
func TestServeCodes(t *testing.T) {
	mux := new(jsonrpc.Mux)
	mux.HandleFunc("Fail", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		code, _ := r.Param("code").Int()
		w.Error(int(code), "no")
	})
	mux.HandleFunc("Panic", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { panic("no") })
	mux.HandleFunc("Sum", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Result([]byte("5")) })
	for _, c := range []struct{ frame, want, managed string }{
		{`{"id":1,"method":"Sum"}`, `{"id":1,"result":5}`, `{"id":1,"result":5}`},
		{`{"id":1,"method":"Fail","params":{"code":-32602}}`,
			`{"id":1,"error":{"code":-32602,"message":"no"}}`, `{"id":1,"error":{"code":400,"message":"no"}}`},
		{`{"id":1,"method":"Fail","params":{"code":429}}`,
			`{"id":1,"error":{"code":429,"message":"no"}}`, `{"id":1,"error":{"code":429,"message":"no"}}`},
		{`{"id":1,"method":"None"}`,
			`{"id":1,"error":{"code":-32601,"message":"method not found"}}`, `{"id":1,"error":{"code":404,"message":"method not found"}}`},
		{`{"id":1,"method":"Panic"}`,
			`{"id":1,"error":{"code":-32603,"message":"the handler of the method did not return"}}`, `{"id":1,"error":{"code":500,"message":"the handler of the method did not return"}}`},
		{`{"method":"None"}`, ``, ``},
	} {
		var m jsonrpc.Message
		if err := jsonrpc.Parse([]byte(c.frame), &m); err != nil {
			t.Fatal(err)
		}
		if got := jsonrpc.Serve(t.Context(), nil, &m, mux); string(got) != c.want {
			t.Errorf("%s: Serve answers %s, want %s", c.frame, got, c.want)
		}
		if got := jsonrpc.ServeCodes(t.Context(), nil, &m, mux, jsonrpc.ManagementCode); string(got) != c.managed {
			t.Errorf("%s: ServeCodes answers %s, want %s", c.frame, got, c.managed)
		}
		if got := jsonrpc.Serve(t.Context(), nil, &m, mux); string(got) != c.want {
			t.Errorf("%s: the dialect stays: %s", c.frame, got)
		}
	}
}

// TestPending: an answer is awaited until there is one, and never by a
// notification.
func TestPending(t *testing.T) {
	for frame, want := range map[string][2]bool{
		`{"id":1,"method":"Look"}`: {true, false},
		`{"method":"Look"}`:        {false, false},
	} {
		var m jsonrpc.Message
		if err := jsonrpc.Parse([]byte(frame), &m); err != nil {
			t.Fatal(err)
		}
		var got [2]bool
		jsonrpc.Serve(t.Context(), nil, &m, jsonrpc.HandlerFunc(func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			got[0] = w.Pending()
			w.Result(nil)
			got[1] = w.Pending()
		}))
		if got != want {
			t.Errorf("%s: %v before and after the answer, want %v", frame, got, want)
		}
	}
}
