package wifi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/wifi"
)

// TestNames pins the numbers and words that mos-rpc.md sections 5.1 and 5.4 give.
func TestNames(t *testing.T) {
	for n, want := range []string{"open", "WEP", "WPA", "WPA2", "WPA/WPA2", "WPA2 enterprise", "WPA3", "WPA2/WPA3", "unknown 8"} {
		if got := wifi.Auth(n).String(); got != want {
			t.Errorf("auth %d: %s", n, got)
		}
	}
	for n, want := range []string{"disconnected", "connecting", "connected", "got ip", "unknown 4"} {
		if got := wifi.State(n).String(); got != want {
			t.Errorf("state %d: %s", n, got)
		}
	}
	for n, want := range []string{"", "wrong password", "not found", "no address", "lost", "radio off", "failed", "unknown 7"} {
		if got := wifi.Reason(n).String(); got != want {
			t.Errorf("reason %d: %s", n, got)
		}
	}
}

func TestBSSID(t *testing.T) {
	want := wifi.BSSID{0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0xff}
	for _, text := range []string{"0a:1b:2c:3d:4e:ff", "0A:1B:2C:3D:4E:FF"} {
		if got, err := wifi.ParseBSSID(text); got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if text, err := json.Marshal(want); string(text) != `"0a:1b:2c:3d:4e:ff"` || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	for _, bad := range []string{"", "0a:1b:2c:3d:4e", "0a:1b:2c:3d:4e:f", "0a:1b:2c:3d:4e:ff:", "0a-1b-2c-3d-4e-ff", "0a:1b:2c:3d:4e:fg",
		"0a1b2c3d4eff", ":a:1b:2c:3d:4e:ff", "0a:1b:2c:3d:4e0ff", strings.Repeat("a", 1000)} {
		if got, err := wifi.ParseBSSID(bad); err == nil || got != (wifi.BSSID{}) || len(err.Error()) > 100 {
			t.Errorf("%.100q: %v, %v", bad, got, err)
		}
	}
}

// TestPasswordsDoNotShow prints settings in every way.
func TestPasswordsDoNotShow(t *testing.T) {
	const secret = "p@ss w0rd"
	own := ap
	own.Password = secret
	f := wifi.NewFake(wifi.FakeConfig{Delays: wifi.Delays{NotFound: -1}})
	if err := errors.Join(f.SetStation(t.Context(), station("Home", secret)), f.SetAP(t.Context(), own)); err != nil {
		t.Fatal(err)
	}
	sta := station("Home", secret)
	var out bytes.Buffer
	for _, v := range []any{sta, &sta, own, &own, point("Home", secret, -50), wifi.Password(secret), f.Stations(), f.APs(),
		map[string]wifi.Password{"key": secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out.Write(text)
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("set", "setting", v)
		}
	}
	bad := sta
	bad.Password = secret + wifi.Password(strings.Repeat("x", 60))
	fmt.Fprintln(&out, bad.Validate())
	text := strings.ToLower(out.String())
	for _, show := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprint([]byte(secret))} {
		if strings.Contains(text, show) {
			t.Errorf("%q shows", show)
		}
	}
	if strings.Count(text, "********") < 90 {
		t.Errorf("%d stars", strings.Count(text, "********"))
	}
	if got := fmt.Sprintf("%v %q %#v", wifi.Password(""), wifi.Password(""), wifi.Password("x")); got != ` "" "********"` {
		t.Error(got)
	}
	var set wifi.Station
	if err := json.Unmarshal([]byte(`{"Password":"p@ss w0rd"}`), &set); err != nil || string(set.Password) != secret {
		t.Errorf("%q, %v", string(set.Password), err)
	}
}

// TestValidateStation breaks a good setting in one field each.
func TestValidateStation(t *testing.T) {
	good := station("Home", "secret123")
	good.IP, good.Netmask, good.Gateway, good.Nameserver = ip("10.0.0.7"), ip("255.255.255.0"), ip("10.0.0.1"), ip("9.9.9.9")
	for _, c := range []struct {
		field string // that is at fault, "" = none
		edit  func(s *wifi.Station)
	}{
		{"", func(*wifi.Station) {}},
		{"", func(s *wifi.Station) { *s = wifi.Station{Password: "1"} }},
		{"", func(s *wifi.Station) { s.SSID = strings.Repeat("s", 32) }},
		{"Station.SSID", func(s *wifi.Station) { s.SSID = strings.Repeat("s", 33) }},
		{"Station.SSID", func(s *wifi.Station) { s.SSID = "" }},
		{"", func(s *wifi.Station) { s.Password = "" }},
		{"", func(s *wifi.Station) { s.Password = "12345" }},
		{"Station.Password", func(s *wifi.Station) { s.Password = "1234" }},
		{"Station.Password", func(s *wifi.Station) { s.Password = "1234567" }},
		{"", func(s *wifi.Station) { s.Password = wifi.Password(strings.Repeat("p", 63)) }},
		{"Station.Password", func(s *wifi.Station) { s.Password = wifi.Password(strings.Repeat("p", 64)) }},
		{"Station.IP", func(s *wifi.Station) { s.IP = netip.Addr{} }},
		{"Station.IP", func(s *wifi.Station) { s.IP, s.Netmask = netip.Addr{}, netip.Addr{} }},
		{"", func(s *wifi.Station) { s.IP, s.Netmask, s.Gateway = netip.Addr{}, netip.Addr{}, netip.Addr{} }},
		{"Station.IP", func(s *wifi.Station) { s.IP = ip("::1") }},
		{"Station.IP", func(s *wifi.Station) { s.IP = ip("0.0.0.0") }},
		{"Station.Netmask", func(s *wifi.Station) { s.Netmask = netip.Addr{} }},
		{"Station.Netmask", func(s *wifi.Station) { s.Netmask = ip("255.0.255.0") }},
		{"", func(s *wifi.Station) { s.Gateway = netip.Addr{} }},
		{"Station.Gateway", func(s *wifi.Station) { s.Gateway = ip("10.0.1.1") }},
		{"Station.Gateway", func(s *wifi.Station) { s.Gateway = ip("fe80::1") }},
		{"", func(s *wifi.Station) { s.Nameserver = netip.Addr{} }},
		{"Station.Nameserver", func(s *wifi.Station) { s.Nameserver = ip("0.0.0.0") }},
		{"Station.Nameserver", func(s *wifi.Station) { s.Nameserver = ip("fe80::1%eth0") }},
	} {
		s := good
		c.edit(&s)
		checkInvalid(t, fmt.Sprintf("%+v", s), s.Validate(), c.field)
	}
}

// TestValidateAP does the same for an access point.
func TestValidateAP(t *testing.T) {
	for _, c := range []struct {
		field string
		edit  func(a *wifi.AP)
	}{
		{"", func(*wifi.AP) {}},
		{"", func(a *wifi.AP) { *a = wifi.AP{Password: "1"} }},
		{"AP.SSID", func(a *wifi.AP) { a.SSID = "" }},
		{"", func(a *wifi.AP) { a.SSID = strings.Repeat("s", 32) }},
		{"AP.SSID", func(a *wifi.AP) { a.SSID = strings.Repeat("s", 33) }},
		{"AP.Password", func(a *wifi.AP) { a.Password = "12345" }},
		{"AP.Password", func(a *wifi.AP) { a.Password = "Mongoose" }},
		{"", func(a *wifi.AP) { a.Password = wifi.Password(strings.Repeat("0a", 32)) }},
		{"", func(a *wifi.AP) { a.Password = "" }},
		{"AP.Password", func(a *wifi.AP) { a.Password = "1234567" }},
		{"", func(a *wifi.AP) { a.Password = "12345678" }},
		{"AP.Password", func(a *wifi.AP) { a.Password = wifi.Password(strings.Repeat("p", 64)) }},
		{"", func(a *wifi.AP) { a.Channel, a.MaxConnections = 0, 0 }},
		{"AP.Channel", func(a *wifi.AP) { a.Channel = -1 }},
		{"AP.Channel", func(a *wifi.AP) { a.Channel = 197 }},
		{"AP.MaxConnections", func(a *wifi.AP) { a.MaxConnections = -1 }},
		{"AP.MaxConnections", func(a *wifi.AP) { a.MaxConnections = 256 }},
		{"AP.IP", func(a *wifi.AP) { a.IP = netip.Addr{} }},
		{"AP.Netmask", func(a *wifi.AP) { a.Netmask = ip("0.0.0.0") }},
		{"", func(a *wifi.AP) { a.Gateway = netip.Addr{} }},
		{"AP.Gateway", func(a *wifi.AP) { a.Gateway = ip("192.168.5.1") }},
		{"AP.DHCPStart", func(a *wifi.AP) { a.DHCPStart = netip.Addr{} }},
		{"AP.DHCPStart", func(a *wifi.AP) { a.DHCPStart = ip("192.168.3.2") }},
		{"AP.DHCPEnd", func(a *wifi.AP) { a.DHCPEnd = netip.Addr{} }},
		{"AP.DHCPEnd", func(a *wifi.AP) { a.DHCPEnd = ip("192.168.5.2") }},
		{"AP.DHCPEnd", func(a *wifi.AP) { a.DHCPEnd = ip("192.168.4.1") }},
		{"", func(a *wifi.AP) { a.DHCPEnd = a.DHCPStart }},
	} {
		a := ap
		c.edit(&a)
		checkInvalid(t, fmt.Sprintf("%+v", a), a.Validate(), c.field)
	}
}

func checkInvalid(t *testing.T, what string, err error, field string) {
	t.Helper()
	switch {
	case field == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case field != "" && (!errors.Is(err, wifi.ErrInvalid) || !strings.Contains(err.Error(), " "+field+" ")):
		t.Errorf("%s: %v, want %s", what, err, field)
	}
}

func TestMaskBits(t *testing.T) {
	for text, want := range map[string]int{"255.255.255.0": 24, "255.0.0.0": 8, "255.255.255.255": 32, "128.0.0.0": 1,
		"255.255.240.0": 20, "0.0.0.0": -1, "0.0.0.255": -1, "255.255.0.255": -1, "ffff::": -1} {
		if bits, ok := wifi.MaskBits(ip(text)); ok != (want >= 0) || ok && bits != want {
			t.Errorf("%s: %d, %v", text, bits, ok)
		}
	}
	if _, ok := wifi.MaskBits(netip.Addr{}); ok {
		t.Error("no address")
	}
}
