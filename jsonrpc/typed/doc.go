// Package typed makes ordinary Go functions handlers of package jsonrpc.
//
//	mux.Handle("Sum", typed.Func(func(a, b float64) float64 { return a + b }))
//
//	type led struct {
//		On    bool `json:"on"`
//		Level int  `json:"level"`
//	}
//	mux.Handle("Led.Set", typed.Func(func(ctx context.Context, l led) error { ... }))
//
// # Parameters
//
// A function may take a context.Context first, then any number of values that
// encoding/json can decode.
//
//   - A function of no values ignores params.
//   - A function of one value gets it from params, whatever their type: an
//     object fills a struct or a map, an array fills a slice. An array also
//     fills one value of another kind if it has exactly one element. A pointer
//     is nil when there are no params.
//   - A function of several values needs an array of exactly as many elements.
//
// Params that do not fit are answered CodeInvalidParams with a text that says
// what is wrong. Unknown members of objects are ignored.
//
// # Results
//
// A function returns nothing, a value, an error, or a value and an error. The
// value is answered as encoding/json encodes it, but with all text in plain
// UTF-8: hosts built on mjson cannot read \u escapes. No value is answered as
// null. Errors are answered as [jsonrpc.Response.Fail] says.
//
// # Concurrency and cost
//
// A handler is as safe for concurrent use as its function. Reflection and
// encoding/json cost microseconds and allocations for each request; handlers
// that must not allocate are written against jsonrpc itself.
package typed
