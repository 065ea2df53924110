package ccm

import (
	"context"
	"net/netip"
	"runtime/metrics"
	"time"

	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/ccm/wifi"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// method is a method of the module.
type method struct {
	name    string
	params  string // in the form of a format of the C library mjson
	handler jsonrpc.HandlerFunc
}

// builtin is a method of the module as it is registered, by which it is told from
// one of the program with the same name.
type builtin struct {
	method
	inTurn bool
}

// InTurn reports whether the calls of one channel must run one after the other; see
// [channel.InTurn].
func (b *builtin) InTurn() bool { return b.inTurn }

// ServeRPC calls the handler.
func (b *builtin) ServeRPC(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	b.handler(ctx, w, r)
}

// registerServices registers the methods of the module.
func (m *Module) registerServices() {
	m.register(jsonrpc.Immediate,
		method{"RPC.List", "", m.rpcList}, method{"RPC.Ping", "", rpcPing}, method{"RPC.Describe", "{name: %Q}", m.rpcDescribe},
		method{"Sys.Info", "", m.sysInfo}, method{"Sys.Time", "", sysTime})
	m.register(jsonrpc.Beside, method{"Sys.GetInfo", "", m.sysGetInfo}) // it may look at a disk
	m.register(jsonrpc.Ordered, method{"Sys.Init", "", m.hostStarted},
		method{"MQTT.Pub", "{topic: %Q, message: %Q, qos: %d, retain: %B}", m.mqttPub},
		method{"MQTT.Sub", "{topic: %Q, qos: %d}", m.mqttSub}, method{"MQTT.Unsub", "{topic: %Q}", m.mqttUnsub})
	if m.cfg.Shadow.Backend != nil {
		m.register(jsonrpc.Ordered, method{"Shadow.Report", "%M", m.shadowReport}, method{"Shadow.Get", "", m.shadowGet})
	}
	m.registerManagement()
}

// registerManagement registers the methods for what there is to manage.
func (m *Module) registerManagement() {
	g := &m.cfg.Management
	if g.Reboot != nil {
		m.register(jsonrpc.Ordered, method{"Sys.Reboot", "{delay_ms: %d, abort: %B}", m.sysReboot})
	}
	if g.SetDebug != nil {
		m.register(jsonrpc.Ordered, method{"Sys.SetDebug", "{level: %d}", m.sysSetDebug})
	}
	if g.Store != nil {
		m.registerInTurn(
			method{"Config.Get", "{key: %Q, level: %d}", m.configGet},
			method{"Config.Set", "{config: %M, key: %Q, value: %M, level: %d, save: %B, try_once: %B, reboot: %B}", m.configSet},
			method{"Config.Save", "{try_once: %B, reboot: %B}", m.configSave})
	}
	if g.Files != nil {
		m.registerInTurn(
			method{"FS.List", "{path: %Q}", m.fsList}, method{"FS.ListExt", "{path: %Q}", m.fsListExt},
			method{"FS.Get", "{filename: %Q, offset: %d, len: %d}", m.fsGet},
			method{"FS.Put", "{filename: %Q, offset: %d, append: %B, data: %V}", m.fsPut},
			method{"FS.Remove", "{filename: %Q}", m.fsRemove}, method{"FS.Rename", "{src: %Q, dst: %Q}", m.fsRename})
	}
	if g.Network != nil {
		m.register(jsonrpc.Beside, method{"Wifi.Scan", "", m.wifiScan},
			method{"Wifi.SetupSTA", "{enable: %B, ssid: %Q, pass: %Q, ip: %Q, netmask: %Q, gw: %Q, nameserver: %Q}", m.wifiSetupSTA},
			method{"Wifi.SetupAP", "{enable: %B, ssid: %Q, pass: %Q, channel: %d, ip: %Q, netmask: %Q, gw: %Q, dhcp_start: %Q, dhcp_end: %Q}", m.wifiSetupAP})
	}
}

// register registers methods that run in a lane.
func (m *Module) register(lane jsonrpc.Lane, all ...method) {
	for _, f := range all {
		m.mux.Handle(f.name, jsonrpc.In(lane, &builtin{method: f}))
	}
}

var _ channel.InTurn = (*builtin)(nil)

// registerInTurn registers methods that are ordered, at the doors too.
func (m *Module) registerInTurn(all ...method) {
	for _, f := range all {
		m.mux.Handle(f.name, &builtin{method: f, inTurn: true})
	}
}

// hostStarted is Sys.Init: the host has started anew.
func (m *Module) hostStarted(ctx context.Context, _ *jsonrpc.Response, _ *jsonrpc.Request) {
	if h := HostFromContext(ctx); h != nil {
		h.restarted()
	}
}

// sysInfo is Sys.Info: what the module is.
func (m *Module) sysInfo(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	i := &m.cfg.Info
	w.Resultf(`{"fw_version":%Q,"arch":%Q,"fw_id":%Q,"app":%Q}`, i.FWVersion, i.Arch, i.FWID, i.App)
}

// sysGetInfo is Sys.GetInfo, with the members that the tools for Mongoose OS
// look at (spec rpc-common). What the module does not know is 0 or "".
func (m *Module) sysGetInfo(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	i, n := &m.cfg.Info, m.network()
	total, free := memory()
	size, left := m.fileSpace()
	secure := m.cloud != nil && m.cloud.Status().Secure
	out, _ := mjson.Appendf(nil, `{"id":%Q,"app":%Q,"fw_version":%Q,"fw_id":%Q,"mg_version":%Q,"mg_id":%Q,"mac":%Q,"arch":%Q,"uptime":%ld,`+
		`"public_key":%Q,"ram_size":%ld,"ram_free":%ld,"ram_min_free":%ld,"fs_size":%ld,"fs_free":%ld,`+
		`"wifi":{"sta_ip":%Q,"ap_ip":%Q,"status":%Q,"ssid":%Q}`,
		m.cfg.ID, i.App, i.FWVersion, i.FWID, i.FWVersion, i.FWID, m.cfg.Management.MAC, i.Arch, int64(m.Uptime().Seconds()), "",
		int64(total), int64(free), int64(free), size, left, addrText(n.StationIP), addrText(n.APIP), n.Station.String(), ssidText(n.SSID))
	if n.EthIP.IsValid() {
		out, _ = mjson.Appendf(out, `,"eth":{"ip":%Q}`, n.EthIP.String())
	}
	out, _ = mjson.Appendf(out, `,"tls":%B`, secure)
	if s := m.cfg.Management.Store; s != nil {
		out, _ = mjson.Appendf(out, `,"at_rest":%Q`, s.Status().AtRest)
	}
	w.Result(append(out, '}'))
}

// network returns what is known of the wireless network.
func (m *Module) network() wifi.Status {
	if n := m.cfg.Management.Network; n != nil {
		return n.Status()
	}
	return wifi.Status{}
}

// addrText returns an address, or "" if there is none.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// fileSpace returns how many bytes of files there may be, and how many more.
func (m *Module) fileSpace() (size, free int64) {
	if m.cfg.Management.Files == nil {
		return 0, 0
	}
	all, err := m.cfg.Management.Files.List()
	if err != nil {
		return files.MaxTotal, 0
	}
	free = files.MaxTotal
	for _, f := range all {
		free -= f.Size
	}
	return files.MaxTotal, max(free, 0)
}

// sysSetDebug is Sys.SetDebug {level}.
func (m *Module) sysSetDebug(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	const unset = -1
	level, err := intParam(r, "level", unset)
	switch {
	case err != nil:
	case level < unset || level > 4:
		err = badParams("level must be 0 to 4")
	case level != unset:
		err = m.cfg.Management.SetDebug(int(level))
	}
	w.Fail(err)
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
