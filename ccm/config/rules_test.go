package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// TestRules saves networks, good and bad.
func TestRules(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	station := func(more string) string { return `{"wifi":{"sta":{"enable":true,"ssid":"net"` + more + `}}}` }
	ap := func(more string) string { return `{"wifi":{"ap":{"enable":true` + more + `}}}` }
	for _, c := range []struct{ tree, want string }{
		{`{}`, ""},
		{station(``), ""},
		{station(`,"ssid":""`), "given twice"},
		{`{"wifi":{"sta":{"enable":true}}}`, "STA SSID must be between 1 and 32 chars"},
		{`{"wifi":{"sta":{"enable":false,"pass":"1"}}}`, ""},
		{`{"wifi":{"sta1":{"enable":true}}}`, "STA1 SSID must be between 1 and 32 chars"},
		{`{"wifi":{"sta2":{"enable":true}}}`, "STA2 SSID must be between 1 and 32 chars"},
		{`{"wifi":{"sta":{"enable":true,"ssid":"` + x(32) + `"}}}`, ""},
		{station(`,"pass":"` + x(8) + `"`), ""},
		{station(`,"pass":"` + x(63) + `"`), ""},
		{station(`,"pass":"` + x(5) + `"`), ""},
		{station(`,"pass":"` + strings.Repeat("aF09", 16) + `"`), ""},
		{station(`,"pass":"` + x(64) + `"`), "STA password must be between 8 and 63 chars"},
		{station(`,"pass":"` + x(7) + `"`), "STA password must be between 8 and 63 chars"},
		{station(`,"pass":"` + x(1) + `"`), "STA password must be between 8 and 63 chars"},
		{station(`,"ip":"10.0.0.2","netmask":"255.255.255.0","gw":"10.0.0.1"`), ""},
		{station(`,"ip":"10.0.0.2","netmask":"255.255.255.0"`), ""},
		{station(`,"ip":"10.0.0.2"`), "STA static IP is set but no netmask provided"},
		{station(`,"ip":"10.0.0.2","netmask":"255.0.255.0"`), "STA static IP is set but no netmask provided"},
		{station(`,"ip":"10.0.0.2","netmask":"0.0.0.0"`), "STA static IP is set but no netmask provided"},
		{station(`,"ip":"10.0.0.2","netmask":"::1"`), "STA static IP is set but no netmask provided"},
		{station(`,"ip":"10.0.0","netmask":"255.255.255.0"`), "STA static IP is not an IPv4 address"},
		{station(`,"ip":"fe80::1","netmask":"255.255.255.0"`), "STA static IP is not an IPv4 address"},
		{station(`,"ip":"10.0.0.2","netmask":"255.255.255.0","gw":"10.0.1.1"`), "STA static IP and gateway are not in the same network"},
		{station(`,"ip":"10.0.0.2","netmask":"255.255.255.0","gw":"x"`), "STA static IP and gateway are not in the same network"},
		{ap(``), ""},
		{ap(`,"ssid":""`), "AP SSID must be between 1 and 32 chars"},
		{ap(`,"pass":"` + x(7) + `"`), "AP password must be between 8 and 63 chars"},
		{ap(`,"pass":"` + x(13) + `"`), ""},
		{ap(`,"pass":"` + x(5) + `"`), "AP password must be between 8 and 63 chars"},
		{ap(`,"pass":"Mongoose"`), "AP password is the one that all devices had"},
		{`{"wifi":{"ap":{"enable":false,"pass":"Mongoose","ssid":""}}}`, ""},
		{ap(`,"ip":""`), "AP IP, netmask and DHCP range must be set, and in one network"},
		{ap(`,"netmask":""`), "AP IP, netmask and DHCP range must be set, and in one network"},
		{ap(`,"dhcp_start":""`), "AP IP, netmask and DHCP range must be set, and in one network"},
		{ap(`,"dhcp_end":"192.168.5.9"`), "AP IP, netmask and DHCP range must be set, and in one network"},
	} {
		disk := faultfs.New()
		s := open(t, disk, config.Options{})
		err := s.Update(set(c.tree), &normal)
		if text := errorText(err); (err == nil) != (c.want == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s: %v, want %q", c.tree, err, c.want)
		}
		if err != nil && files(t, disk) != "" {
			t.Errorf("%s: saved", c.tree)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestAllowDefaultAPPassword is for those who insist.
func TestAllowDefaultAPPassword(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{AllowDefaultAPPassword: true})
	must(t, s.Update(setKey("wifi.ap.pass", `"Mongoose"`), &normal))
}

// TestRulesOfLevels judges a vendor's level by what will be live, and leaves nothing
// behind when it is refused.
func TestRulesOfLevels(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, config.Options{})
	err := s.Update(config.Change{Config: []byte(`{"wifi":{"sta":{"enable":true}}}`), Vendor: true, Level: 4}, &normal)
	if !errors.Is(err, config.ErrRules) || s.Bool("wifi.sta.enable") || files(t, disk) != "" {
		t.Error(err, files(t, disk))
	}
	must(t, s.Save(config.SaveOptions{Level: 4}))
	if files(t, disk) != "" {
		t.Error(files(t, disk))
	}
	must(t, s.Set(config.Change{Config: []byte(`{"wifi":{"sta":{"enable":true}}}`), Vendor: true, Level: 4}))
	if err := s.Save(config.SaveOptions{Level: 4}); !errors.Is(err, config.ErrRules) || s.Bool("wifi.sta.enable") {
		t.Error(err)
	}
	must(t, s.Set(setKey("mqtt.user", `"u"`)))
	if s.Bool("wifi.sta.enable") {
		t.Error("what was refused is live after another change")
	}
	must(t, s.Set(config.Change{Config: []byte(`{"wifi":{"sta":{"ssid":"lab"}}}`), Vendor: true, Level: 4}))
	must(t, s.Save(config.SaveOptions{Level: 4}))
	if !s.Bool("wifi.sta.enable") || s.String("wifi.sta.ssid") != "lab" {
		t.Error(tree(t, s))
	}
}
