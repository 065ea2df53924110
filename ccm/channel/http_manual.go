package channel

import (
	"bytes"
	"net/http"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// The methods that the shortcut forms stand for.
const (
	configGet  = "Config.Get"
	configSet  = "Config.Set"
	configSave = "Config.Save"
)

// manualForm returns the params of Config.Set in a body as the manual of the CCM
// prints it, {"config":{...}}, or nil if it is something else. Mongoose OS takes
// no such body; here it means Config.Set, and Config.Save with a reboot.
func manualForm(body []byte) []byte {
	body = bytes.TrimSpace(body)
	// It is judged as what it will become: the params of a frame.
	var m jsonrpc.Message
	if jsonrpc.Parse(append(append([]byte(`{"method":"","params":`), body...), '}'), &m) != nil ||
		len(m.Params()) != len(body) {
		return nil
	}
	members := 0
	for range (mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}).Children(body) {
		members++
	}
	if v := m.Param("config"); members != 1 || !v.Exists() || v.Raw[0] != '{' {
		return nil
	}
	return body
}

// manual serves the form of the manual. Both calls go through the Gate like all
// others; the second one is asked about before the first is made.
func (h *HTTP) manual(w http.ResponseWriter, r *http.Request, config []byte) {
	o := h.origin(r)
	if !h.s.cfg.Gate.Listed(o, configSave) {
		h.s.stats.refused.Add(1)
		h.status(w, r, http.StatusForbidden)
		return
	}
	set := h.s.takeMethod(o, o, configSet, config, nil)
	var failed []byte
	set.Serve(r.Context(), func(reply []byte) error {
		failed = reply
		return nil
	})
	if set.code != 0 {
		h.body(w, set, failed)
		return
	}
	h.serve(w, r, h.s.takeMethod(o, o, configSave, []byte(`{"reboot":true}`), nil))
}
