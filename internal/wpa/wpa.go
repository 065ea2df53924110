// Package wpa has the rules of names and passphrases of wireless networks
// (IEEE 802.11-2020: 9.4.2.2, 12.7.1 and annex J.4; spec/rulings.md D5).
package wpa

import "strings"

// MaxSSID is the longest name of a network, in bytes. The shortest has one.
const MaxSSID = 32

// Default is the passphrase of the access points of all devices of Mongoose OS, which
// everybody knows.
const Default = "Mongoose"

// ValidSSID reports whether a network can have this name.
func ValidSSID(ssid string) bool { return 1 <= len(ssid) && len(ssid) <= MaxSSID }

// ValidPassphrase reports whether WPA takes a passphrase: 8 to 63 bytes, or a key of
// 64 hexadecimal digits.
func ValidPassphrase(pass string) bool {
	if len(pass) == 64 {
		return strings.Trim(pass, "0123456789abcdefABCDEF") == ""
	}
	return 8 <= len(pass) && len(pass) <= 63
}

// ValidKey reports whether WPA or WEP takes a passphrase; the keys of WEP have 5 or 13
// bytes.
func ValidKey(pass string) bool {
	return len(pass) == 5 || len(pass) == 13 || ValidPassphrase(pass)
}
