package typed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// Func returns a handler that calls fn; the package documentation says which
// functions it takes. It panics for any other value, which is a mistake of the
// program and shows when the handler is registered.
func Func(fn any) jsonrpc.Handler {
	f, err := newFunction(reflect.ValueOf(fn))
	if err != nil {
		panic("typed: " + err.Error())
	}
	return f
}

// function is a Go function as a handler.
type function struct {
	call     reflect.Value
	takesCtx bool
	params   []reflect.Type // without the context
	value    bool           // it returns a value, first
	fails    bool           // it returns an error, last
}

func newFunction(v reflect.Value) (*function, error) {
	if v.Kind() != reflect.Func || v.IsNil() {
		return nil, fmt.Errorf("want a function, got %v", v)
	}
	t := v.Type()
	if t.IsVariadic() {
		return nil, fmt.Errorf("%v: a variadic function has no fixed params", t)
	}
	f := &function{call: v}
	for i := range t.NumIn() {
		switch in := t.In(i); {
		case in != contextType:
			f.params = append(f.params, in)
		case i == 0:
			f.takesCtx = true
		default:
			return nil, fmt.Errorf("%v: the context must come first", t)
		}
	}
	n := t.NumOut()
	f.fails = n > 0 && t.Out(n-1) == errorType
	if f.fails {
		n--
	}
	f.value = n == 1
	if n > 1 || n == 1 && t.Out(0) == errorType {
		return nil, fmt.Errorf("%v: want at most a value and an error as results", t)
	}
	return f, nil
}

// ServeRPC decodes the params, calls the function and answers its result.
func (f *function) ServeRPC(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	in := make([]reflect.Value, 0, len(f.params)+1)
	if f.takesCtx {
		in = append(in, reflect.ValueOf(ctx))
	}
	in, err := f.decode(in, r.Params())
	if err != nil {
		w.Fail(&jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()})
		return
	}
	out := f.call.Call(in)
	if f.fails {
		if err, failed := out[len(out)-1].Interface().(error); failed {
			w.Fail(err)
			return
		}
	}
	if !f.value {
		w.Result(nil)
		return
	}
	text, err := encode(out[0].Interface())
	if err != nil {
		w.Fail(err)
		return
	}
	w.Result(text)
}

// decode appends the values of params to in.
func (f *function) decode(in []reflect.Value, params []byte) ([]reflect.Value, error) {
	switch len(f.params) {
	case 0:
		return in, nil
	case 1:
		v, err := decodeOne(f.params[0], params)
		return append(in, v), err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(params, &list); err != nil || len(list) != len(f.params) {
		return in, fmt.Errorf("params must be an array of %d", len(f.params))
	}
	for i, t := range f.params {
		v := reflect.New(t)
		if err := json.Unmarshal(list[i], v.Interface()); err != nil {
			return in, fmt.Errorf("params[%d]: %w", i, fault(err))
		}
		in = append(in, v.Elem())
	}
	return in, nil
}

// decodeOne decodes params as the only value of a function.
func decodeOne(t reflect.Type, params []byte) (reflect.Value, error) {
	v := reflect.New(t)
	if len(params) == 0 {
		if t.Kind() == reflect.Pointer {
			return v.Elem(), nil
		}
		return v.Elem(), fmt.Errorf("params are missing")
	}
	err := json.Unmarshal(params, v.Interface())
	if err == nil {
		return v.Elem(), nil
	}
	var list []json.RawMessage
	if json.Unmarshal(params, &list) == nil && len(list) == 1 {
		v = reflect.New(t)
		err = json.Unmarshal(list[0], v.Interface())
		if err == nil {
			return v.Elem(), nil
		}
	}
	return v.Elem(), fmt.Errorf("params: %w", fault(err))
}

// fault returns what is wrong with params, without the names of Go types.
func fault(err error) error {
	e, is := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !is:
		return err
	case e.Field == "":
		return fmt.Errorf("unexpected %s", e.Value)
	}
	return fmt.Errorf("unexpected %s in %s", e.Value, e.Field)
}

// encode returns the JSON text of a value, with all printable text in plain
// UTF-8.
func encode(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(text))
	done := 0
	_, err = mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}.Scan(text, func(ev mjson.Type, off, n int) bool {
		if ev == mjson.String || ev == mjson.Key {
			out = append(out, text[done:off]...)
			plain, _ := mjson.AppendUnquote(nil, text[off:off+n])
			out = mjson.AppendQuoteBytes(out, plain)
			done = off + n
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	return append(out, text[done:]...), nil
}
