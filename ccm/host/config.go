package host

import "context"

// ConfigGet appends the JSON text of a part of the module's configuration to
// dst: the value or the object at a dotted key such as "wifi.sta.ssid", or
// everything if the key is empty. Secrets come back empty.
func (h *Host) ConfigGet(ctx context.Context, dst []byte, key string) ([]byte, error) {
	if key == "" {
		return h.Call(ctx, dst, "Config.Get", "")
	}
	return h.Call(ctx, dst, "Config.Get", "{%Q:%Q}", "key", key)
}

// ConfigSet changes the module's configuration in memory. The formatted text is
// an object with the members to change:
//
//	h.ConfigSet(ctx, "{%Q:{%Q:{%Q:%B,%Q:%Q,%Q:%Q}}}", "wifi", "sta", "enable", true, "ssid", ssid, "pass", pass)
//
// An [*jsonrpc.Error] with CodeDenied names a key that is locked; nothing is
// changed then. Text that is not JSON is not sent: [jsonrpc.ErrInvalidJSON]. Call
// [Host.ConfigSave] to keep the change.
func (h *Host) ConfigSet(ctx context.Context, format string, args ...any) error {
	_, err := h.Call(ctx, nil, "Config.Set", "{%Q:"+format+"}", append([]any{"config"}, args...)...)
	return err
}

// ConfigSave saves the module's configuration and, if reboot is set, restarts
// the module, which answers first.
func (h *Host) ConfigSave(ctx context.Context, reboot bool) error {
	_, err := h.Call(ctx, nil, "Config.Save", "{%Q:%B}", "reboot", reboot)
	return err
}
