package ccm_test

import (
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

var cloudCalls = []struct {
	name, method, payload string
	frame, src, err       string
}{
	{"as mos sends it", "", `{"src":"d/rpc-resp/m","dst":"d","id":1234567890123,"method":"Sum","params":[2,3]}` + "\n",
		`{"src":"d/rpc-resp/m","dst":"d","id":1234567890123,"method":"Sum","params":[2,3]}`, "d/rpc-resp/m", ""},
	{"args", "", `{"id":1,"src":"s","method":"Sum","args":[2,3]}`,
		`{"params":[2,3],"id":1,"src":"s","method":"Sum","args":[2,3]}`, "s", ""},
	{"method of the topic", "Sum", `{"id":1,"src":"s","params":[2,3]}`,
		`{"method":"Sum","id":1,"src":"s","params":[2,3]}`, "s", ""},
	{"method of the topic, nothing else", "Sys.Reboot", ``, `{"method":"Sys.Reboot"}`, "", ""},
	{"method of the topic, empty object", "Sys.Reboot", ` { } `, `{"method":"Sys.Reboot" }`, "", ""},
	{"method twice", "Sum", `{"id":1,"method":"Other","src":"s"}`, "", "", "duplicate member"},
	{"method with a quote", `a"b`, `{}`, `{"method":"a\"b"}`, "", ""},
	{"notification", "", `{"method":"Sys.Reboot"}`, `{"method":"Sys.Reboot"}`, "", ""},
	{"no src", "", `{"id":1,"method":"Sum"}`, "", "", "without src"},
	{"src with a wildcard", "", `{"id":1,"method":"Sum","src":"a/+"}`, "", "", "src is not usable"},
	{"src with NUL", "", `{"id":1,"method":"Sum","src":"a\u0000"}`, "", "", "src is not usable"},
	{"src of another type", "", `{"id":1,"method":"Sum","src":5}`, "", "", "without src"},
	{"a response", "", `{"id":1,"result":5}`, "", "", "neither a call"},
	{"an error", "", `{"error":{"code":404,"message":"x"}}`, "", "", "neither a call"},
	{"no object", "Sum", `[2,3]`, "", "", "byte 0"},
	{"garbage", "", `hello`, "", "", "byte 0"},
	{"cut short", "", `{"id":1,"method":"Su`, "", "", "byte"},
}

func TestCloudCall(t *testing.T) {
	for _, tt := range cloudCalls {
		t.Run(tt.name, func(t *testing.T) {
			frame, src, err := ccm.ParseCloudCall(tt.method, []byte(tt.payload))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if string(frame) != tt.frame || src != tt.src || err != nil {
				t.Errorf("got %s, %q, %v", frame, src, err)
			}
		})
	}
}

func FuzzCloudCall(f *testing.F) {
	for _, c := range cloudCalls {
		f.Add(c.method, []byte(c.payload))
	}
	f.Fuzz(func(t *testing.T, method string, payload []byte) {
		frame, src, err := ccm.ParseCloudCall(method, payload)
		if err != nil {
			return
		}
		var m jsonrpc.Message
		if err := jsonrpc.Parse(frame, &m); err != nil {
			t.Fatalf("%q: %v", frame, err)
		}
		if m.Kind() == jsonrpc.KindCall && (src == "" || strings.ContainsAny(src, "+#\x00")) {
			t.Errorf("answer to %q", src)
		}
		if method != "" && string(m.Method()) != method && !strings.ContainsRune(method, '\ufffd') && strings.ToValidUTF8(method, "") == method {
			t.Errorf("method %q, want %q", m.Method(), method)
		}
	})
}

func FuzzHostInfo(f *testing.F) {
	f.Add([]byte(`{"fw_version":"1.0", "arch":"x", "fw_id":"y", "app":"z"}`), []byte(`["Shadow.Delta","RPC.List","Sys.Info"]`))
	f.Add([]byte(`{"rx_max":1024,"boot":17}`), []byte(`{"a":"b"}`))
	f.Add([]byte(`5`), []byte(`[1,[2],"\u00e9"]`))
	f.Fuzz(func(t *testing.T, info, list []byte) {
		i := ccm.ParseHostInfo(info, list)
		if i.FrameLimit < 0 || i.FrameLimit > 1<<20 || len(i.Methods) > 64 {
			t.Errorf("%+v", i)
		}
	})
}
