package config_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// TestLevels lays one file over the other.
func TestLevels(t *testing.T) {
	disk := faultfs.New()
	names := []string{"conf1.json", "conf2.json", "conf3.json", "conf4.json", "conf5.json", "conf_vendor.json",
		"conf6.json", "conf7.json", "conf8.json", "conf9.json"}
	want := "iot.eclipse.org:1883"
	for i := -1; i < len(names); i++ {
		if i >= 0 {
			want = names[i]
			put(t, disk, names[i], `{"mqtt": {"server": "`+names[i]+`"}, "unknown": 1}`)
		}
		s := open(t, disk, config.Options{})
		if got := s.String("mqtt.server"); got != want || len(s.Problems()) > 0 {
			t.Errorf("%s: %s, %v", want, got, s.Problems())
		}
	}
	s := open(t, disk, config.Options{})
	for layers, want := range []string{"conf9.json", "iot.eclipse.org:1883", "conf1.json", "conf2.json", "conf3.json", "conf4.json",
		"conf5.json", "conf6.json", "conf7.json", "conf8.json"} {
		got, err := s.AppendJSON([]byte("x"), "mqtt.server", config.GetOptions{Layers: layers})
		if string(got) != `x"`+want+`"` || err != nil {
			t.Errorf("%d layers: %s, %v, want %s", layers, got, err, want)
		}
	}
	for _, layers := range []int{-1, 10} {
		if got, err := s.AppendJSON([]byte("x"), "", config.GetOptions{Layers: layers}); err == nil || string(got) != "x" {
			t.Errorf("%d layers: %s, %v", layers, got, err)
		}
	}
	if got, err := s.AppendJSON([]byte("x"), "no", config.GetOptions{}); !errors.Is(err, config.ErrUnknownKey) || string(got) != "x" {
		t.Errorf("%s, %v", got, err)
	}
}

// TestSavedText is how a file looks.
func TestSavedText(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, config.Options{})
	must(t, s.Save(config.SaveOptions{}))
	if get(disk, "conf9.json") != "-" {
		t.Errorf("nothing has changed:\n%s", files(t, disk))
	}
	must(t, s.Set(set(`{"wifi":{"sta":{"enable":true,"ssid":"a\"b"}},"mqtt":{"reconnect_timeout_min":3,"keep_alive":60},"device":{"sn":"1"}}`)))
	must(t, s.Save(config.SaveOptions{}))
	want := `{
  "device": {
    "sn": "1"
  },
  "wifi": {
    "sta": {
      "enable": true,
      "ssid": "a\"b"
    }
  },
  "mqtt": {
    "reconnect_timeout_min": 3.000000
  }
}
`
	if got := get(disk, "conf9.json"); got != want {
		t.Errorf("%s", got)
	}
	again := open(t, disk, config.Options{})
	if tree(t, again) != tree(t, s) || again.Status().Unsaved {
		t.Errorf("%s\n%s", tree(t, again), tree(t, s))
	}
	must(t, again.Set(set(`{"wifi":{"sta":{"enable":false,"ssid":""}},"mqtt":{"reconnect_timeout_min":2},"device":{"sn":""}}`)))
	must(t, again.Save(config.SaveOptions{}))
	if got := get(disk, "conf9.json"); got != "{}\n" {
		t.Errorf("%s", got)
	}
}

// TestLock reads a user's file under the vendor's list.
func TestLock(t *testing.T) {
	for _, c := range []struct{ vendor, user, ssid, server, acl string }{
		{`{"conf_acl":"wifi.*"}`, `{"wifi":{"sta":{"ssid":"net"}},"mqtt":{"server":"evil"}}`, "net", "iot.eclipse.org:1883", "wifi.*"},
		{`{"conf_acl":"wifi.*"}`, `{"conf_acl":"wifi.*","mqtt":{"server":"iot.eclipse.org:1883"}}`, "", "iot.eclipse.org:1883", "wifi.*"}, // nothing to tell
		{`{"conf_acl":"wifi.*"}`, `{"conf_acl":"*","mqtt":{"server":"evil"}}`, "", "iot.eclipse.org:1883", "wifi.*"},
		{`{"conf_acl":"wifi.*,mqtt.server,conf_acl"}`, `{"conf_acl":"","mqtt":{"server":"a"}}`, "", "a", ""},
		{`{}`, `{"conf_acl":"wifi.*","mqtt":{"server":"a"}}`, "", "a", "wifi.*"},
	} {
		disk := faultfs.New()
		put(t, disk, "conf3.json", c.vendor)
		put(t, disk, "conf9.json", c.user)
		s := open(t, disk, config.Options{})
		if s.String("wifi.sta.ssid") != c.ssid || s.String("mqtt.server") != c.server || s.String("conf_acl") != c.acl {
			t.Errorf("%+v: %q %q %q", c, s.String("wifi.sta.ssid"), s.String("mqtt.server"), s.String("conf_acl"))
		}
		refused := strings.Contains(c.user, "evil")
		if p := s.Problems(); refused != (len(p) > 0) || refused && !errors.Is(p[len(p)-1].Err, config.ErrDenied) {
			t.Errorf("%+v: %v", c, p)
		}
	}
}

// TestLockBetweenVendors reads a vendor's file under the list of the one below.
func TestLockBetweenVendors(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf2.json", `{"conf_acl":"wifi.*,conf_acl"}`)
	put(t, disk, "conf4.json", `{"conf_acl":"*","mqtt":{"server":"a"}}`)
	put(t, disk, "conf5.json", `{"mqtt":{"server":"b"}}`)
	if s := open(t, disk, config.Options{}); s.String("mqtt.server") != "b" || len(s.Problems()) != 1 || s.Problems()[0].String() != "conf4.json: mqtt.server: config: key may not be set" {
		t.Errorf("%s, %v", s.String("mqtt.server"), s.Problems())
	}
}

// TestVendorLevel sets and saves a vendor's level.
func TestVendorLevel(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf5.json", `{"mqtt":{"server":"old","enable":true}}`)
	put(t, disk, "conf3.json", "{\"device\":  {\"sn\":\"3\"}}")
	s := open(t, disk, config.Options{})
	must(t, s.Set(set(`{"wifi":{"sta":{"ssid":"net"}}}`)))
	var told []string
	defer s.Watch("*", func(changed []string) { told = append(told, changed...) })()
	must(t, s.Set(config.Change{Config: []byte(`{"mqtt":{"server":"new"}}`), ACL: "*", Level: 5}))
	must(t, s.Set(config.Change{Config: []byte(`{"mqtt":{"keep_alive":7}}`), ACL: "*", Level: 5}))
	if s.String("mqtt.server") != "old" || len(told) > 0 || s.Status().Unsaved == false {
		t.Errorf("%s %v", s.String("mqtt.server"), told)
	}
	must(t, s.Save(config.SaveOptions{}))
	if strings.Contains(get(disk, "conf9.json"), "mqtt") || strings.Contains(get(disk, "conf5.json"), "new") {
		t.Error(files(t, disk))
	}
	must(t, s.Save(config.SaveOptions{Level: 5}))
	if s.String("mqtt.server") != "new" || strings.Join(told, " ") != "mqtt.server mqtt.keep_alive" {
		t.Errorf("%s %v", s.String("mqtt.server"), told)
	}
	again := open(t, disk, config.Options{})
	if tree(t, again) != tree(t, s) || again.Int("mqtt.keep_alive") != 7 || !again.Bool("mqtt.enable") {
		t.Error(tree(t, again))
	}
	if get(disk, "conf3.json") != "{\"device\":  {\"sn\":\"3\"}}" {
		t.Error("another level was written")
	}
	must(t, s.Update(config.Change{Config: []byte(`{"mqtt":{"server":"newer"}}`), ACL: "*", Level: 6}, &config.SaveOptions{}))
	if s.String("mqtt.server") != "newer" || get(disk, "conf6.json") == "-" {
		t.Error(files(t, disk))
	}
}

// TestUserFollowsVendor has the user's level follow a vendor's value that the user did
// not change.
func TestUserFollowsVendor(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf5.json", `{"mqtt":{"server":"one"}}`)
	s := open(t, disk, config.Options{})
	must(t, s.Set(set(`{"mqtt":{"server":"mine"}}`)))
	must(t, s.Set(set(`{"mqtt":{"server":"one","user":"u"}}`)))
	must(t, s.Save(config.SaveOptions{}))
	put(t, disk, "conf5.json", `{"mqtt":{"server":"two"}}`)
	if s := open(t, disk, config.Options{}); s.String("mqtt.server") != "two" || s.String("mqtt.user") != "u" {
		t.Error(files(t, disk))
	}
}

// TestTryOnce saves a configuration for one start.
func TestTryOnce(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, config.Options{})
	must(t, s.Update(setKey("mqtt.server", `"safe"`), &config.SaveOptions{}))
	must(t, s.Update(setKey("mqtt.server", `"trial"`), &config.SaveOptions{TryOnce: true}))
	if s.String("mqtt.server") != "trial" || !strings.Contains(get(disk, "conf9.json"), "safe") {
		t.Error(files(t, disk))
	}
	once := open(t, disk, config.Options{})
	if once.String("mqtt.server") != "trial" || get(disk, "conf9.json.try") != "-" || !once.Status().Unsaved {
		t.Error(once.String("mqtt.server"), files(t, disk))
	}
	if twice := open(t, disk, config.Options{}); twice.String("mqtt.server") != "safe" {
		t.Error(twice.String("mqtt.server"))
	}
	must(t, once.Save(config.SaveOptions{})) // it works: keep it
	if kept := open(t, disk, config.Options{}); kept.String("mqtt.server") != "trial" {
		t.Error(kept.String("mqtt.server"))
	}
}

// TestTryOnceStale has a save make a trial obsolete.
func TestTryOnceStale(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, config.Options{})
	must(t, s.Update(setKey("mqtt.server", `"safe"`), &config.SaveOptions{}))
	saved := get(disk, "conf9.json")
	must(t, s.Update(setKey("mqtt.server", `"trial"`), &config.SaveOptions{TryOnce: true}))
	ops := len(disk.Ops())
	must(t, s.Save(config.SaveOptions{TryOnce: true}))
	if len(disk.Ops()) != ops {
		t.Error("the same trial was written again")
	}
	must(t, s.Update(setKey("mqtt.server", `"safe"`), &config.SaveOptions{}))
	if get(disk, "conf9.json.try") != "-" || get(disk, "conf9.json") != saved {
		t.Error(files(t, disk))
	}
	for _, op := range disk.Ops()[ops:] {
		if op.Kind == faultfs.Write {
			t.Error("the file was written, though it has not changed")
		}
	}
	must(t, s.Save(config.SaveOptions{TryOnce: true}))
	if get(disk, "conf9.json.try") != "-" {
		t.Error("a trial of what is saved")
	}
}

// TestTryOnceBroken ignores a trial that cannot be read.
func TestTryOnceBroken(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf9.json", `{"mqtt":{"server":"safe"}}`)
	put(t, disk, "conf9.json.try", `{"mqtt":`)
	s := open(t, disk, config.Options{})
	if s.String("mqtt.server") != "safe" || len(s.Problems()) != 1 || get(disk, "conf9.json.try") != "-" {
		t.Error(s.String("mqtt.server"), s.Problems())
	}
}

// TestMigration takes over the file of old firmware.
func TestMigration(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf.json", `{"mqtt":{"server":"old"}}`)
	s := open(t, disk, config.Options{})
	if s.String("mqtt.server") != "old" || get(disk, "conf.json") != "-" || get(disk, "conf9.json") != `{"mqtt":{"server":"old"}}` || s.Status().Unsaved {
		t.Error(files(t, disk))
	}
	put(t, disk, "conf.json", `{"mqtt":{"server":"older"}}`)
	s = open(t, disk, config.Options{})
	if s.String("mqtt.server") != "old" || len(s.Problems()) != 1 {
		t.Error(s.String("mqtt.server"), s.Problems())
	}
	must(t, s.FactoryReset())
	if files(t, disk) != "" {
		t.Error(files(t, disk))
	}
}

// TestMigrationReadOnly uses the file of old firmware where it is.
func TestMigrationReadOnly(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf.json", `{"mqtt":{"server":"old"}}`)
	disk.Fail(func(op faultfs.Op) error {
		if op.Kind == faultfs.Rename {
			return fs.ErrPermission
		}
		return nil
	})
	s := open(t, disk, config.Options{})
	if s.String("mqtt.server") != "old" || len(s.Problems()) != 1 {
		t.Error(s.String("mqtt.server"), s.Problems())
	}
	disk.Fail(nil)
	must(t, s.Save(config.SaveOptions{}))
	if !strings.Contains(get(disk, "conf9.json"), "old") {
		t.Error(files(t, disk))
	}
}

// TestFactoryReset forgets the user's level and nothing else.
func TestFactoryReset(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf5.json", `{"mqtt":{"server":"vendor"},"wifi":{"sta":{"ssid":"lab"}}}`)
	put(t, disk, "other.pem", `x`)
	s := open(t, disk, config.Options{})
	must(t, s.FactoryReset())
	vendor := files(t, disk)
	must(t, s.Update(set(`{"wifi":{"sta":{"ssid":"home","pass":"canary-1"}},"mqtt":{"user":"u"}}`), &config.SaveOptions{}))
	must(t, s.Update(set(`{"wifi":{"sta":{"pass":"canary-2"}}}`), &config.SaveOptions{TryOnce: true}))
	put(t, disk, "conf9.json"+fsx.TempSuffix, "canary-3")
	put(t, disk, "conf9.json.try"+fsx.TempSuffix, "canary-4")
	var told []string
	defer s.Watch("*", func(changed []string) { told = append(told, changed...) })()
	must(t, s.FactoryReset())
	if s.String("wifi.sta.ssid") != "lab" || s.String("wifi.sta.pass") != "" || strings.Join(told, " ") != "wifi.sta.ssid wifi.sta.pass mqtt.user" {
		t.Error(tree(t, s), told)
	}
	if files(t, disk) != vendor || s.Status().Unsaved {
		t.Error(files(t, disk))
	}
	if again := open(t, disk, config.Options{}); tree(t, again) != tree(t, s) {
		t.Error(tree(t, again))
	}
	must(t, s.Update(setKey("mqtt.user", `"v"`), &config.SaveOptions{}))
	if again := open(t, disk, config.Options{}); again.String("mqtt.user") != "v" {
		t.Error(files(t, disk))
	}
}

// TestBrokenFile leaves out a file, or what of it cannot be used, tells, and writes it
// anew when it is saved.
func TestBrokenFile(t *testing.T) {
	for name, c := range map[string]struct {
		text     string
		server   string
		problems int
	}{
		"empty":     {"", "vendor", 1},
		"no object": {"[]", "vendor", 1},
		"cut":       {`{"mqtt":{"server":"us`, "vendor", 1},
		"too long":  {`{"mqtt":{"server":"user"}}` + strings.Repeat(" ", config.MaxFile), "vendor", 1},
		"ill-typed": {`{"mqtt":{"server":"user","enable":"no","keep_alive":1.5},"wifi":3,"device":{"sn":{}}}`, "user", 4},
		"twice":     {`{"mqtt":{"server":"user","server":"other"}}`, "user", 1},
		"too large": {`{"wifi":{"sta":{"ssid":"` + strings.Repeat("x", 33) + `"}}}`, "vendor", 1},
		"unknown":   {`{"mqtt":{"server":"user","no":1},"nor":{}}`, "user", 0},
	} {
		disk := faultfs.New()
		put(t, disk, "conf4.json", `{"mqtt":{"server":"vendor"}}`)
		put(t, disk, "conf9.json", c.text)
		s := open(t, disk, config.Options{})
		if got := s.String("mqtt.server"); got != c.server || len(s.Problems()) != c.problems {
			t.Errorf("%s: %s, %v", name, got, s.Problems())
		}
		for _, p := range s.Problems() {
			if p.File != "conf9.json" || p.Err == nil || p.String() == "" {
				t.Errorf("%s: %+v", name, p)
			}
		}
		live := tree(t, s)
		if whole := s.Problems(); len(whole) == 1 && whole[0].Key == "" {
			must(t, s.Save(config.SaveOptions{}))
			if get(disk, "conf9.json") != "{}\n" {
				t.Errorf("%s: the file is still broken: %s", name, get(disk, "conf9.json"))
			}
		}
		must(t, s.Update(setKey("mqtt.user", `"u"`), &config.SaveOptions{}))
		again := open(t, disk, config.Options{})
		if len(again.Problems()) > 0 || again.String("mqtt.server") != c.server || again.String("mqtt.user") != "u" {
			t.Errorf("%s: %v\n%s", name, again.Problems(), live)
		}
	}
}

// TestProblemsBounded reads a file of nothing but problems.
func TestProblemsBounded(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf9.json", `{"x":{`+strings.Repeat(`"a":1,`, 5000)+`"a":1}}`)
	if s := open(t, disk, config.Options{}); len(s.Problems()) != 64 {
		t.Errorf("%d problems", len(s.Problems()))
	}
}

// TestOpenErrors opens what cannot be opened.
func TestOpenErrors(t *testing.T) {
	for _, o := range []config.Options{
		{},
		{Dir: dir, MAC: "a0:b1:c2:a1:b2:c3"},
		{Dir: dir, MAC: "A0B1C2A1B2CG"},
		{Dir: dir, MAC: "A0B1C2"},
	} {
		o.FS = faultfs.New()
		if s, err := config.Open(t.Context(), o); err == nil || s != nil {
			t.Errorf("%+v: %v", o, s)
		}
	}
	disk := faultfs.New()
	disk.Fail(func(op faultfs.Op) error {
		if op.Kind == faultfs.Mkdir {
			return fs.ErrPermission
		}
		return nil
	})
	if s, err := start(disk, config.Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Error(s, err)
	}
}

// TestSetBackFollows sets a key back to what the levels below have: it is set no more,
// so it follows them at once when they change, not only after the next start.
func TestSetBackFollows(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf5.json", `{"mqtt":{"server":"vendor"}}`)
	s := open(t, disk, config.Options{})
	must(t, s.Update(set(`{"mqtt":{"server":"user"}}`), &normal))
	must(t, s.Update(set(`{"mqtt":{"server":"vendor"}}`), &normal))
	if got := get(disk, "conf9.json"); got != "{}\n" {
		t.Errorf("saved %q", got)
	}
	vendor := config.Change{Config: []byte(`{"mqtt":{"server":"newer"}}`), Level: 5, Vendor: true}
	must(t, s.Update(vendor, &normal))
	if got := s.String("mqtt.server"); got != "newer" {
		t.Errorf("mqtt.server is %q", got)
	}
	if again := open(t, disk, config.Options{}); tree(t, again) != tree(t, s) {
		t.Errorf("after a start:\n%s\n%s", tree(t, again), tree(t, s))
	}
}
