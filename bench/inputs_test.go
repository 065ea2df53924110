package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// The small frames. The other libraries answer only requests that say which
// version of JSON-RPC they are.
const (
	sumFrame   = `{"id": 12007, "method": "Sum", "params": [2,3]}`
	sumFrame20 = `{"jsonrpc":"2.0","id": 12007, "method": "Sum", "params": [2,3]}`
	sumAnswer  = `{"id":12007,"result":5}`
	deltaFrame = `{"method": "Shadow.Delta", "params": {"on": true}}`
)

// input reads a committed file of testdata.
func input(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// server is a contender that answers requests. serve appends the reply to dst,
// or nothing for a notification, and does not keep the frame.
type server interface {
	serve(dst, frame []byte) []byte
}

// listener is a contender that takes notifications too; heard tells how many of
// them reached their handler, a Shadow.Delta only if "on" was true in it.
type listener interface {
	server
	heard() int
}

// reply is what replies have in common, whatever the order of their members.
type reply struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// sameReply reports whether two replies say the same. Only the member jsonrpc,
// white space and the order of members may differ.
func sameReply(got, want []byte) error {
	text := func(frame []byte) (string, error) {
		if len(frame) == 0 {
			return "no reply", nil
		}
		var r reply
		if err := json.Unmarshal(frame, &r); err != nil {
			return "", fmt.Errorf("reply %q: %w", frame, err)
		}
		if r.Error != nil {
			return fmt.Sprintf("id %s error %d %q", r.ID, r.Error.Code, r.Error.Message), nil
		}
		return fmt.Sprintf("id %s result %s", r.ID, r.Result), nil
	}
	g, err := text(got)
	if err != nil {
		return err
	}
	w, err := text(want)
	if err == nil && g != w {
		err = fmt.Errorf("got %s, want %s", g, w)
	}
	return err
}
