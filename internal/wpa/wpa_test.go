package wpa_test

import (
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/wpa"
)

func TestLengths(t *testing.T) {
	for n := range 70 {
		text := strings.Repeat("x", n)
		if got, want := wpa.ValidSSID(text), n >= 1 && n <= 32; got != want {
			t.Errorf("an SSID of %d bytes: %v", n, got)
		}
		if got, want := wpa.ValidPassphrase(text), n >= 8 && n <= 63; got != want {
			t.Errorf("a passphrase of %d bytes: %v", n, got)
		}
		if got, want := wpa.ValidKey(text), n == 5 || n >= 8 && n <= 63; got != want {
			t.Errorf("a key of %d bytes: %v", n, got)
		}
		if got, want := wpa.ValidPassphrase(strings.Repeat("0aF", 22)[:n%67]), n >= 8 && n <= 64; n < 67 && got != want {
			t.Errorf("%d hexadecimal digits: %v", n, got)
		}
	}
}
