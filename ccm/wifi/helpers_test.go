package wifi_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/wifi"
)

// point makes an access point with WPA2, or without a password an open one.
func point(ssid string, password wifi.Password, rssi int) wifi.FakeAccessPoint {
	p := wifi.FakeAccessPoint{AccessPoint: wifi.AccessPoint{SSID: ssid, RSSI: rssi}, Password: password}
	if password != "" {
		p.Auth = wifi.AuthWPA2
	}
	return p
}

// station is the setting to join an access point.
func station(ssid string, password wifi.Password) wifi.Station {
	return wifi.Station{Enable: true, SSID: ssid, Password: password}
}

var ip = netip.MustParseAddr

// ap is the setting of the manual's access point.
var ap = wifi.AP{
	Enable: true, SSID: "Mongoose_A1B2C3", Password: "passphrase", Channel: 6, MaxConnections: 10,
	IP: ip("192.168.4.1"), Netmask: ip("255.255.255.0"), Gateway: ip("192.168.4.1"),
	DHCPStart: ip("192.168.4.2"), DHCPEnd: ip("192.168.4.100"),
}

// trace is what a watcher has been told, with the times.
type trace struct {
	start time.Time

	mu    sync.Mutex
	lines []string
}

// watch watches a network until the end of the test.
func watch(t *testing.T, n wifi.Network) *trace {
	tr := &trace{start: time.Now()}
	t.Cleanup(n.Watch(func(s wifi.Status) {
		line := fmt.Sprintf("%v %v %s", time.Since(tr.start), s.Station, s.SSID)
		if s.Reason != wifi.NoReason {
			line += " (" + s.Reason.String() + ")"
		}
		for n, a := range []netip.Addr{s.StationIP, s.APIP, s.EthIP} {
			if a.IsValid() {
				line += []string{" ip ", " ap ", " eth "}[n] + a.String()
			}
		}
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.lines = append(tr.lines, line)
	}))
	return tr
}

// check compares what has come since the last check.
func (tr *trace) check(t *testing.T, want ...string) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !slices.Equal(tr.lines, want) {
		t.Errorf("watched\n%q, want\n%q", tr.lines, want)
	}
	tr.lines = nil
}
