package config

import "strings"

// Expand replaces the placeholders in a text: its n question marks become the
// last n digits of the hardware address, 12 hexadecimal digits, in upper case.
// "ccm_??????" of "a0b1c2a1b2c3" is "ccm_A1B2C3". As in Mongoose OS, a text with
// an odd number of question marks stays as it is; so does one with more than there
// are digits, and every text if mac is "".
func Expand(text, mac string) string {
	n := strings.Count(text, "?")
	if n == 0 || n%2 != 0 || n > len(mac) {
		return text
	}
	out, digits := []byte(text), strings.ToUpper(mac[len(mac)-n:])
	for i, at := 0, 0; at < len(out); at++ {
		if out[at] == '?' {
			out[at] = digits[i]
			i++
		}
	}
	return string(out)
}

func validMAC(mac string) bool {
	return len(mac) == 12 && strings.Trim(mac, "0123456789abcdefABCDEF") == ""
}
