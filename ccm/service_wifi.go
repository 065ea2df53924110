package ccm

import (
	"context"
	"net/netip"
	"strings"

	"github.com/ccmkit/ccmkit/ccm/wifi"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// The methods of the wireless network (library rpc-service-wifi of Mongoose OS).
// They change what is in use, and nothing of the configuration.

// codeWifi is that of an error of the network.
const codeWifi = -1

// wifiScan is Wifi.Scan: the access points that are heard.
func (m *Module) wifiScan(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	found, err := m.cfg.Management.Network.Scan(ctx)
	if err != nil {
		m.log.Warn("wifi scan failed", "err", err)
		w.Error(codeWifi, "wifi scan failed: "+err.Error())
		return
	}
	out := []byte{'['}
	for i, p := range found {
		if i > 0 {
			out = append(out, ',')
		}
		out, _ = mjson.Appendf(out, `{"ssid":%Q,"bssid":%Q,"auth":%d,"channel":%d,"rssi":%d}`,
			ssidText(p.SSID), p.BSSID.String(), int(p.Auth), p.Channel, p.RSSI)
	}
	w.Result(append(out, ']'))
}

// ssidText returns an SSID, which may be any bytes, as text that JSON can hold.
func ssidText(ssid string) string { return strings.ToValidUTF8(ssid, "\uFFFD") }

// wifiSetupSTA is Wifi.SetupSTA {enable, ssid, pass, ip, netmask, gw, nameserver}.
func (m *Module) wifiSetupSTA(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	p := reader{r: r}
	s := wifi.Station{
		Enable: p.bool("enable", false), SSID: p.text("ssid"), Password: wifi.Password(p.text("pass")),
		IP: p.addr("ip"), Netmask: p.addr("netmask"), Gateway: p.addr("gw"), Nameserver: p.addr("nameserver"),
	}
	if p.err == nil {
		p.err = m.wifiError("mgos_wifi_setup_sta failed", m.cfg.Management.Network.SetStation(ctx, s))
	}
	w.Fail(p.err)
}

// wifiSetupAP is Wifi.SetupAP {enable, ssid, pass, channel, ip, netmask, gw,
// dhcp_start, dhcp_end}.
func (m *Module) wifiSetupAP(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	p := reader{r: r}
	a := wifi.AP{
		Enable: p.bool("enable", false), SSID: p.text("ssid"), Password: wifi.Password(p.text("pass")), Channel: p.int("channel"),
		IP: p.addr("ip"), Netmask: p.addr("netmask"), Gateway: p.addr("gw"), DHCPStart: p.addr("dhcp_start"), DHCPEnd: p.addr("dhcp_end"),
	}
	if p.err == nil {
		p.err = m.wifiError("mgos_wifi_setup_ap failed", m.cfg.Management.Network.SetAP(ctx, a))
	}
	w.Fail(p.err)
}

// wifiError is an error of the network, with the text that Mongoose OS has for it.
func (m *Module) wifiError(text string, err error) error {
	if err == nil {
		return nil
	}
	m.log.Warn("wifi setting refused", "err", err)
	return &jsonrpc.Error{Code: codeWifi, Message: text + ": " + err.Error()}
}

// reader reads several params and keeps the first error.
type reader struct {
	r   *jsonrpc.Request
	err error
}

func (p *reader) keep(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *reader) text(key string) string {
	s, err := textParam(p.r, key, "")
	p.keep(err)
	return s
}

func (p *reader) bool(key string, def bool) bool {
	b, err := boolParam(p.r, key, def)
	p.keep(err)
	return b
}

func (p *reader) int(key string) int {
	n, err := intParam(p.r, key, 0)
	if err == nil && int64(int32(n)) != n {
		err = badParams(key + " is out of range")
	}
	p.keep(err)
	return int(n)
}

// addr reads an IP address; an empty text is none.
func (p *reader) addr(key string) netip.Addr {
	text := p.text(key)
	if text == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		p.keep(badParams(key + " is not an IP address"))
	}
	return a
}
