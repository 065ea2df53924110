package jsonrpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// rpcRow is a row of rpc_*.jsonl; vectors/mjson/README.md describes it.
type rpcRow struct {
	Methods [][2]string `json:"methods"`
	Mode    string      `json:"mode"`
	Buf     int         `json:"buf"`
	Steps   []rpcStep   `json:"steps"`
}

type rpcStep struct {
	In     *string           `json:"in"`
	InHex  *string           `json:"in_hex"`
	Out    *string           `json:"out"`
	OutHex *string           `json:"out_hex"`
	Resp   []json.RawMessage `json:"resp"`
	Calls  []string          `json:"calls"`
}

func TestVectorsEngineHEAD(t *testing.T) {
	vectors.Each(t, "mjson/rpc_head*.jsonl", 0, func(t *testing.T, row rpcRow) {
		runRPCRow(t, jsonrpc.NewEngine(), row, false)
	})
}

func TestVectorsEngineCCM(t *testing.T) {
	vectors.Each(t, "mjson/rpc_ccm*.jsonl", 0, func(t *testing.T, row rpcRow) {
		e := jsonrpc.NewCCMEngine(jsonrpc.SysInfo{FWVersion: "1.0", FWID: "Nov 24 2018 09:10:27"})
		runRPCRow(t, e, row, true)
	})
}

// runRPCRow plays the steps of a row on an engine and compares everything that
// can be seen: the bytes sent, the frames given to the response callback and
// the log of the handlers.
func runRPCRow(t *testing.T, e *jsonrpc.Engine, row rpcRow, ccm bool) {
	var calls, resp []string
	e.OnResponse = func(frame []byte) { resp = append(resp, string(frame)) }
	e.MaxLine = 255
	for _, m := range row.Methods {
		e.Handle(m[0], vectorHandler(m[1], ccm, &calls))
	}
	for i, s := range row.Steps {
		calls, resp = nil, nil
		in := vectors.Text(s.In, s.InHex)
		var out []byte
		if row.Mode == "bytes" {
			out = e.ProcessBytes(t.Context(), nil, in)
		} else {
			out = e.Process(t.Context(), nil, in)
		}
		if want := vectors.Text(s.Out, s.OutHex); string(out) != string(want) {
			t.Errorf("step %d: in %q\n got %q\nwant %q", i, in, out, want)
		}
		if !slices.Equal(calls, s.Calls) {
			t.Errorf("step %d: in %q: calls %q, want %q", i, in, calls, s.Calls)
		}
		if want := respTexts(t, s.Resp); !slices.Equal(resp, want) {
			t.Errorf("step %d: in %q: responses %q, want %q", i, in, resp, want)
		}
	}
}

// respTexts decodes the frames of a resp list: strings, or {"hex": "..."} for
// bytes that are not UTF-8.
func respTexts(t *testing.T, list []json.RawMessage) []string {
	var out []string
	for _, raw := range list {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatalf("resp %s: %v", raw, err)
		}
		out = append(out, s)
	}
	return out
}

// vectorHandler makes one of the handlers that the README of the vectors lists.
func vectorHandler(kind string, ccm bool, calls *[]string) jsonrpc.Handler {
	serve := map[string]jsonrpc.HandlerFunc{
		"sum": func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			a, b := mjson.GetNumber(r.Params(), "$[0]", 0), mjson.GetNumber(r.Params(), "$[1]", 0)
			w.Resultf("%d", int32(a)+int32(b))
		},
		"echo":    func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Result(r.Params()) },
		"null":    func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Result(nil) },
		"noreply": func(context.Context, *jsonrpc.Response, *jsonrpc.Request) {},
		"obj": func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			w.Resultf("{%Q:%g,%Q:%Q}", "x", mjson.GetNumber(r.Params(), "$[1]", 0), "ud", "hi")
		},
		"getstr": func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			s, ok := mjson.GetString(r.Params(), "$.s", nil)
			n := len(s)
			switch {
			case ok && n <= 31:
			case ccm && !mjson.Find(r.Params(), "$.s").Exists():
				s, n = nil, 0
			default:
				s, n = nil, -1
			}
			w.Resultf("[%d,%.*Q]", n, len(s), s)
		},
		"err": func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			w.Error(jsonrpc.CodeInvalidParams, "bad params")
		},
		"errnil": func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Error(123, "") },
		"errdata": func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			data := string(r.Params())
			if data == "" {
				data = "{}"
			}
			if ccm {
				w.ErrorRaw(456, []byte(`{"d":`+data+`}`))
			} else {
				w.ErrorData(456, "qw\"erty\n", []byte(data))
			}
		},
	}[kind]
	if serve == nil {
		panic("unknown behaviour " + kind)
	}
	return jsonrpc.HandlerFunc(func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		*calls = append(*calls, fmt.Sprintf("%s:%d", kind, len(r.Params())))
		serve(ctx, w, r)
	})
}

// suiteRow is a row of jsontestsuite.jsonl.
type suiteRow struct {
	Name    string `json:"name"`
	RFC8259 string `json:"rfc8259"`
	Data    []byte `json:"data_b64"`
	OneLine bool   `json:"one_line"`
}

// TestJ1VectorsJSONTestSuite: every text of JSONTestSuite by itself and, if it
// has no line feed, as the params of a request.
func TestJ1VectorsJSONTestSuite(t *testing.T) {
	count := map[string]int{}
	vectors.Each(t, "bad/json/jsontestsuite*.jsonl", 1, func(t *testing.T, row suiteRow) {
		count[row.RFC8259]++
		want := row.RFC8259 == "accept"
		if got := jsonrpc.Valid(row.Data); row.RFC8259 != "either" && got != want {
			t.Errorf("%s: Valid(%q) = %v", row.Name, row.Data, got)
		}
		if !row.OneLine {
			return
		}
		frame := []byte(`{"id":1,"method":"Sum","params":` + string(row.Data) + `}`)
		if strings.TrimSpace(string(row.Data)) == "" {
			want = false
		}
		var m jsonrpc.Message
		err := jsonrpc.Parse(frame, &m)
		if row.RFC8259 != "either" && (err == nil) != want {
			t.Errorf("%s: Parse(%q) = %v", row.Name, frame, err)
		}
	})
	t.Logf("verdicts: %v", count)
}
