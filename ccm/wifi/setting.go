package wifi

import (
	"fmt"
	"net/netip"

	"github.com/ccmkit/ccmkit/internal/wpa"
)

// Bounds of the settings, as Mongoose OS has them (mos-rpc.md section 5.2).
const (
	maxChannel     = 196
	maxConnections = 255
)

// Station is the setting of the station. The zero value is a station that is not
// enabled.
type Station struct {
	Enable   bool
	SSID     string   // 1 to 32 bytes
	Password Password // empty for an open network; 8 to 63 bytes or 64 hexadecimal digits for WPA; 5 or 13 for WEP

	// IP, Netmask and Gateway are for an address that is not given by DHCP. All
	// are zero, or IP and Netmask are set and Gateway may be; all are IPv4.
	IP, Netmask, Gateway netip.Addr
	// Nameserver is the name server in place of the one that DHCP names. Zero =
	// that one.
	Nameserver netip.Addr
}

// AP is the setting of the module's own access point. The zero value is one that
// is not enabled.
type AP struct {
	Enable         bool
	SSID           string   // 1 to 32 bytes
	Password       Password // empty for an open one, or 8 to 63 bytes or 64 hexadecimal digits
	Channel        int      // 0 = the backend chooses
	Hidden         bool     // does not tell its SSID
	MaxConnections int      // 0 = the backend chooses

	IP, Netmask        netip.Addr // its own address; IPv4, must be set
	Gateway            netip.Addr // what it tells stations; zero = IP
	DHCPStart, DHCPEnd netip.Addr // first and last address that it gives to stations, in the net of IP
}

// Validate returns an error that wraps ErrInvalid and names the field if no
// backend can take the setting. A station that is not enabled may be anything.
func (s Station) Validate() error {
	if !s.Enable {
		return nil
	}
	switch {
	case !wpa.ValidSSID(s.SSID):
		return invalid("Station.SSID", ssidRule)
	case s.Password != "" && !wpa.ValidKey(string(s.Password)):
		return invalid("Station.Password", "must be empty, 8 to 63 bytes, 64 hexadecimal digits, or 5 or 13 bytes")
	}
	if !s.IP.IsValid() {
		if s.Netmask.IsValid() || s.Gateway.IsValid() {
			return invalid("Station.IP", "is missing")
		}
	} else if err := s.validAddresses(); err != nil {
		return err
	}
	if s.Nameserver.IsValid() && (s.Nameserver.IsUnspecified() || s.Nameserver.Zone() != "") {
		return invalid("Station.Nameserver", "is no address of a server")
	}
	return nil
}

// validAddresses checks an address that is not given by DHCP.
func (s Station) validAddresses() error {
	net, err := network("Station", s.IP, s.Netmask)
	if err != nil {
		return err
	}
	if s.Gateway.IsValid() && !net.Contains(s.Gateway) {
		return invalid("Station.Gateway", "is not in the net of IP")
	}
	return nil
}

// Validate returns an error that wraps ErrInvalid and names the field if no
// backend can take the setting. An access point that is not enabled may be
// anything.
func (a AP) Validate() error {
	if !a.Enable {
		return nil
	}
	switch {
	case !wpa.ValidSSID(a.SSID):
		return invalid("AP.SSID", ssidRule)
	case a.Password == wpa.Default:
		return invalid("AP.Password", "is the one that all devices had")
	case a.Password != "" && !wpa.ValidPassphrase(string(a.Password)):
		return invalid("AP.Password", "must be empty, 8 to 63 bytes or 64 hexadecimal digits")
	}
	net, err := network("AP", a.IP, a.Netmask)
	switch {
	case err != nil:
		return err
	case a.Channel < 0 || a.Channel > maxChannel:
		return invalid("AP.Channel", fmt.Sprintf("must be 0 to %d", maxChannel))
	case a.MaxConnections < 0 || a.MaxConnections > maxConnections:
		return invalid("AP.MaxConnections", fmt.Sprintf("must be 0 to %d", maxConnections))
	case a.Gateway.IsValid() && !net.Contains(a.Gateway):
		return invalid("AP.Gateway", "is not in the net of IP")
	case !net.Contains(a.DHCPStart):
		return invalid("AP.DHCPStart", "is not in the net of IP")
	case !net.Contains(a.DHCPEnd):
		return invalid("AP.DHCPEnd", "is not in the net of IP")
	case a.DHCPEnd.Less(a.DHCPStart):
		return invalid("AP.DHCPEnd", "is below DHCPStart")
	}
	return nil
}

// network returns the net of an address.
func network(what string, ip, netmask netip.Addr) (netip.Prefix, error) {
	if !ip.Is4() || ip.IsUnspecified() {
		return netip.Prefix{}, invalid(what+".IP", "is no IPv4 address")
	}
	bits, ok := MaskBits(netmask)
	if !ok {
		return netip.Prefix{}, invalid(what+".Netmask", "is no netmask")
	}
	return netip.PrefixFrom(ip, bits).Masked(), nil
}

// MaskBits returns the length of the prefix that an IPv4 netmask stands for: 24 for
// 255.255.255.0. ok is false for what is no netmask; 0.0.0.0 is none.
func MaskBits(netmask netip.Addr) (bits int, ok bool) {
	if !netmask.Is4() {
		return 0, false
	}
	b := netmask.As4()
	mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	for bits < 32 && mask&(1<<31) != 0 {
		mask <<= 1
		bits++
	}
	return bits, mask == 0 && bits > 0
}

const ssidRule = "must be 1 to 32 bytes"

func invalid(field, why string) error { return fmt.Errorf("%w: %s %s", ErrInvalid, field, why) }
