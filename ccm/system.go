package ccm

import (
	"context"
	"runtime/metrics"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// registerServices registers the methods of the module.
func (m *Module) registerServices() {
	now := func(pattern string, f jsonrpc.HandlerFunc) { m.mux.Handle(pattern, jsonrpc.In(jsonrpc.Immediate, f)) }
	now("RPC.List", m.rpcList)
	now("RPC.Ping", rpcPing)
	now("Sys.Info", m.sysInfo)
	now("Sys.GetInfo", m.sysGetInfo)
	now("Sys.Time", sysTime)
	m.mux.HandleFunc("Sys.Init", m.hostStarted)
	m.mux.HandleFunc("MQTT.Pub", m.mqttPub)
	m.mux.HandleFunc("MQTT.Sub", m.mqttSub)
	m.mux.HandleFunc("MQTT.Unsub", m.mqttUnsub)
	if m.cfg.Shadow.Backend != nil {
		m.mux.HandleFunc("Shadow.Report", m.shadowReport)
		m.mux.HandleFunc("Shadow.Get", m.shadowGet)
	}
}

// hostStarted is Sys.Init: the host has started anew.
func (m *Module) hostStarted(ctx context.Context, _ *jsonrpc.Response, _ *jsonrpc.Request) {
	if h := HostFromContext(ctx); h != nil {
		h.restarted()
	}
}

// rpcList is RPC.List. A host is told the methods of the module; everybody else
// those of the hosts too.
func (m *Module) rpcList(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	names := m.mux.Names()
	if HostFromContext(ctx) == nil {
		for _, h := range m.hosts {
			prefix := h.cfg.Name
			if prefix == "" {
				prefix = "host"
			}
			for _, method := range h.Info().Methods {
				names = append(names, prefix+"/"+method)
			}
		}
	}
	list := []byte{'['}
	for i, name := range names {
		if i > 0 {
			list = append(list, ',')
		}
		list = mjson.AppendQuote(list, name)
	}
	w.Result(append(list, ']'))
}

// rpcPing is RPC.Ping: where the module sees the caller.
func rpcPing(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	channel := ""
	if HostFromContext(ctx) != nil {
		channel = "UART0"
	}
	w.Resultf(`{"channel_info":%Q}`, channel)
}

// sysInfo is Sys.Info: what the module is.
func (m *Module) sysInfo(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	i := &m.cfg.Info
	w.Resultf(`{"fw_version":%Q,"arch":%Q,"fw_id":%Q,"app":%Q}`, i.FWVersion, i.Arch, i.FWID, i.App)
}

// sysGetInfo is Sys.GetInfo, with the members that the tools for Mongoose OS
// look at (spec rpc-common). What the module does not know is 0 or "".
func (m *Module) sysGetInfo(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	i := &m.cfg.Info
	total, free := memory()
	secure := m.cloud != nil && m.cloud.Status().Secure
	w.Resultf(`{"id":%Q,"app":%Q,"fw_version":%Q,"fw_id":%Q,"mg_version":%Q,"mg_id":%Q,"mac":%Q,"arch":%Q,"uptime":%ld,`+
		`"public_key":%Q,"ram_size":%ld,"ram_free":%ld,"ram_min_free":%ld,"fs_size":%d,"fs_free":%d,`+
		`"wifi":{"sta_ip":%Q,"ap_ip":%Q,"status":%Q,"ssid":%Q},"tls":%B}`,
		m.cfg.ID, i.App, i.FWVersion, i.FWID, i.FWVersion, i.FWID, "", i.Arch, int64(m.Uptime().Seconds()), "",
		int64(total), int64(free), int64(free), 0, 0, "", "", "disconnected", "", secure)
}

// memory returns what the process has taken from the system, and how much of
// that it does not use, in bytes.
func memory() (total, free uint64) {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	total = s[0].Value.Uint64()
	return total, total - min(total, s[1].Value.Uint64())
}

// sysTime is Sys.Time: seconds since 1970.
func sysTime(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	w.Resultf("%ld", time.Now().Unix())
}

// Uptime returns for how long Run has been running.
func (m *Module) Uptime() time.Duration {
	run := m.running.Load()
	if run == nil {
		return 0
	}
	return time.Since(run.begun)
}
