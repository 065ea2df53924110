package wifi

import (
	"encoding/hex"
	"fmt"
)

// Auth is the security of an access point. The numbers are those of Wifi.Scan
// (mos-rpc.md section 5.4).
type Auth uint8

// The kinds of security.
const (
	AuthOpen Auth = iota
	AuthWEP
	AuthWPA
	AuthWPA2
	AuthWPAWPA2
	AuthWPA2Enterprise
	AuthWPA3
	AuthWPA2WPA3
)

var authNames = [...]string{"open", "WEP", "WPA", "WPA2", "WPA/WPA2", "WPA2 enterprise", "WPA3", "WPA2/WPA3"}

// String returns the usual name, such as "WPA2".
func (a Auth) String() string { return enumName(authNames[:], int(a)) }

// BSSID is the hardware address of an access point.
type BSSID [6]byte

// ParseBSSID reads what String writes, in upper or lower case.
func ParseBSSID(text string) (b BSSID, err error) {
	if len(text) == 17 {
		digits := make([]byte, 0, 12)
		for n := 0; n < len(text); n += 3 {
			digits = append(digits, text[n:n+2]...)
		}
		_, err = hex.Decode(b[:], digits)
		if err == nil && b.matches(text) {
			return b, nil
		}
	}
	return BSSID{}, fmt.Errorf("wifi: %.40q is no BSSID", text)
}

// matches reports whether the separators of text are those of String.
func (b BSSID) matches(text string) bool {
	for n := 2; n < len(text); n += 3 {
		if text[n] != ':' {
			return false
		}
	}
	return true
}

// String returns the address as in "0a:1b:2c:3d:4e:5f".
func (b BSSID) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}

// MarshalText returns what String does.
func (b BSSID) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// AccessPoint is what a scan finds.
type AccessPoint struct {
	SSID    string // up to 32 bytes, not always UTF-8
	BSSID   BSSID
	Auth    Auth
	Channel int // 1 to 14 at 2.4 GHz, higher at 5 GHz
	RSSI    int // dBm, below 0: -40 is strong, -85 weak
}
