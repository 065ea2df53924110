package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ccmkit/ccmkit/internal/wpa"
)

// Rules of the network (spec/mos-rpc.md 5.2, rulings D5). The words are those of
// Mongoose OS, which tools show.

// wifiRule checks what is needed to come back on the network after a reboot.
func wifiRule(v View) error {
	for _, sta := range []string{"wifi.sta", "wifi.sta1", "wifi.sta2"} {
		if v.Bool(sta + ".enable") {
			if err := stationRule(v, sta); err != nil {
				return err
			}
		}
	}
	if v.Bool("wifi.ap.enable") {
		return accessPointRule(v)
	}
	return nil
}

func stationRule(v View, sta string) error {
	name := "STA" + strings.TrimPrefix(sta, "wifi.sta")
	if !wpa.ValidSSID(v.String(sta + ".ssid")) {
		return fmt.Errorf("%s SSID must be between 1 and 32 chars", name)
	}
	if pass := v.String(sta + ".pass"); pass != "" && !wpa.ValidKey(pass) {
		return fmt.Errorf("%s password must be between 8 and 63 chars", name)
	}
	if v.String(sta+".ip") == "" {
		return nil
	}
	ip, err := netip.ParseAddr(v.String(sta + ".ip"))
	if err != nil || !ip.Is4() {
		return fmt.Errorf("%s static IP is not an IPv4 address", name)
	}
	net, ok := network(ip, v.String(sta+".netmask"))
	if !ok {
		return fmt.Errorf("%s static IP is set but no netmask provided", name)
	}
	if gw := v.String(sta + ".gw"); gw != "" {
		if a, err := netip.ParseAddr(gw); err != nil || !net.Contains(a) {
			return fmt.Errorf("%s static IP and gateway are not in the same network", name)
		}
	}
	return nil
}

var (
	errAPSSID = errors.New("AP SSID must be between 1 and 32 chars")
	errAPPass = errors.New("AP password must be between 8 and 63 chars")
	errAPNet  = errors.New("AP IP, netmask and DHCP range must be set, and in one network")
	// errDefaultPass is what every device had, so that everybody knows it
	// (spec/security.md 4.4).
	errDefaultPass = errors.New("AP password is the one that all devices had")
)

func accessPointRule(v View) error {
	if !wpa.ValidSSID(v.String("wifi.ap.ssid")) {
		return errAPSSID
	}
	if pass := v.String("wifi.ap.pass"); pass != "" && !wpa.ValidPassphrase(pass) {
		return errAPPass
	}
	ip, err := netip.ParseAddr(v.String("wifi.ap.ip"))
	if err != nil || !ip.Is4() {
		return errAPNet
	}
	net, ok := network(ip, v.String("wifi.ap.netmask"))
	if !ok {
		return errAPNet
	}
	for _, key := range []string{"wifi.ap.dhcp_start", "wifi.ap.dhcp_end"} {
		if a, err := netip.ParseAddr(v.String(key)); err != nil || !net.Contains(a) {
			return errAPNet
		}
	}
	return nil
}

// network returns the network of an address and a netmask, which must be ones and
// then zeros.
func network(ip netip.Addr, netmask string) (netip.Prefix, bool) {
	a, err := netip.ParseAddr(netmask)
	if err != nil || !a.Is4() {
		return netip.Prefix{}, false
	}
	b := a.As4()
	mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	ones := 0
	for mask&(1<<31) != 0 {
		mask <<= 1
		ones++
	}
	if mask != 0 || ones == 0 {
		return netip.Prefix{}, false
	}
	net, err := ip.Prefix(ones)
	return net, err == nil
}
