package ccmtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// rpcRow is a row of rpc_*.jsonl. Member mjson of a step holds what the C
// library does where the Engine does something safer: that is what a stock host
// must do.
type rpcRow struct {
	Methods [][2]string `json:"methods"`
	Mode    string      `json:"mode"`
	Buf     int         `json:"buf"`
	Steps   []rpcStep   `json:"steps"`
}

type rpcStep struct {
	In    *string    `json:"in"`
	InHex *string    `json:"in_hex"`
	MJSON *rpcEffect `json:"mjson"`
	rpcEffect
}

type rpcEffect struct {
	Out    *string           `json:"out"`
	OutHex *string           `json:"out_hex"`
	Resp   []json.RawMessage `json:"resp"`
	Calls  []string          `json:"calls"`
}

// effect returns what the C library does.
func (s *rpcStep) effect() *rpcEffect {
	if s.MJSON != nil {
		return s.MJSON
	}
	return &s.rpcEffect
}

func TestVectorsGen2018(t *testing.T) {
	vectors.Each(t, "mjson/rpc_ccm*.jsonl", 0, func(t *testing.T, row rpcRow) { playRow(t, Gen2018, row) })
}

func TestVectorsGenHead(t *testing.T) {
	vectors.Each(t, "mjson/rpc_head*.jsonl", 0, func(t *testing.T, row rpcRow) { playRow(t, GenHead, row) })
}

// playRow plays the steps of a row and compares the bytes that the host sends,
// the frames that it takes for responses and the handlers that run.
func playRow(t *testing.T, gen Generation, row rpcRow) {
	var calls, resp []string
	s := newStock(gen, jsonrpc.SysInfo{FWVersion: "1.0", FWID: "Nov 24 2018 09:10:27"}, row.Buf)
	s.response = func(frame []byte) { resp = append(resp, string(frame)) }
	for _, m := range row.Methods {
		s.engine.Handle(m[0], vectorHandler(m[1], gen, &calls))
	}
	for i, step := range row.Steps {
		calls, resp = nil, nil
		in, want := vectors.Text(step.In, step.InHex), step.effect()
		var out []byte
		if row.Mode == "bytes" {
			s.receive(t.Context(), in, func(p []byte) { out = append(out, p...) })
		} else {
			out = s.process(t.Context(), nil, in)
		}
		if text := vectors.Text(want.Out, want.OutHex); string(out) != string(text) {
			t.Errorf("step %d: in %q\n got %q\nwant %q", i, in, out, text)
		}
		if !slices.Equal(calls, want.Calls) {
			t.Errorf("step %d: in %q: calls %q, want %q", i, in, calls, want.Calls)
		}
		if step.MJSON == nil && len(resp) != len(want.Resp) {
			t.Errorf("step %d: in %q: responses %q, want %q", i, in, resp, want.Resp)
		}
	}
}

// vectorHandler makes one of the handlers that the README of the vectors lists.
func vectorHandler(kind string, gen Generation, calls *[]string) jsonrpc.Handler {
	serve := map[string]func(w *jsonrpc.Response, params []byte){
		"sum":     sumLikeC,
		"echo":    func(w *jsonrpc.Response, params []byte) { w.Result(params) },
		"null":    func(w *jsonrpc.Response, params []byte) { w.Result(nil) },
		"noreply": func(*jsonrpc.Response, []byte) {},
		"obj": func(w *jsonrpc.Response, params []byte) {
			w.Resultf("{%Q:%g,%Q:%Q}", "x", mjson.GetNumber(params, "$[1]", 0), "ud", "hi")
		},
		"getstr": func(w *jsonrpc.Response, params []byte) { getString(w, params, gen) },
		"err":    func(w *jsonrpc.Response, _ []byte) { w.Error(jsonrpc.CodeInvalidParams, "bad params") },
		"errnil": func(w *jsonrpc.Response, _ []byte) { w.Error(123, "") },
		"errdata": func(w *jsonrpc.Response, params []byte) {
			data := string(params)
			if data == "" {
				data = "{}"
			}
			if gen == Gen2018 {
				w.ErrorRaw(456, []byte(`{"d":`+data+`}`))
			} else {
				w.ErrorData(456, "qw\"erty\n", []byte(data))
			}
		},
	}[kind]
	if serve == nil {
		panic("unknown behaviour " + kind)
	}
	return jsonrpc.HandlerFunc(func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		*calls = append(*calls, fmt.Sprintf("%s:%d", kind, len(r.Params())))
		serve(w, r.Params())
	})
}

func sumLikeC(w *jsonrpc.Response, params []byte) {
	a, b := mjson.GetNumber(params, "$[0]", 0), mjson.GetNumber(params, "$[1]", 0)
	w.Resultf("%d", int32(a)+int32(b))
}

// getString answers [n,"text"] for a string of at most 31 bytes.
func getString(w *jsonrpc.Response, params []byte, gen Generation) {
	s, ok := mjson.GetString(params, "$.s", nil)
	n := len(s)
	switch {
	case ok && n <= 31:
	case gen == Gen2018 && !mjson.Find(params, "$.s").Exists():
		s, n = nil, 0
	default:
		s, n = nil, -1
	}
	w.Resultf("[%d,%.*Q]", n, len(s), s)
}
