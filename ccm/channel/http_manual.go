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
// no such body; here it means Config.Set that saves, and a reboot.
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

// manual serves the form of the manual: one Config.Set, so that all of it holds or
// nothing. The Gate is asked about Config.Save too.
func (h *HTTP) manual(w http.ResponseWriter, r *http.Request, config []byte) {
	o := h.origin(r)
	if !h.s.cfg.Gate.Listed(o, configSave) {
		h.s.stats.refused.Add(1)
		h.status(w, r, http.StatusForbidden)
		return
	}
	params := append(bytes.TrimSuffix(config, []byte{'}'}), `,"save":true,"reboot":true}`...)
	h.serve(w, r, h.s.takeMethod(o, o, configSet, params, nil))
}
