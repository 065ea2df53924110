package config_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/acl"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// FuzzSet makes changes of any text under any list. One that is made changes nothing
// that the list does not allow; one that is refused changes nothing at all; and what
// is there then can be saved and read.
func FuzzSet(f *testing.F) {
	for _, text := range []string{`{"mqtt":{"server":"a:1","enable":true}}`, `{"wifi":{"sta":{"ssid":"x","pass":"********"}}}`,
		`{"conf_acl":"*","no":[{"a":1}]}`, `{"mqtt":{"keep_alive":1e2,"reconnect_timeout_min":0.1}}`, `"x"`, `{"mqtt.server":1}`} {
		f.Add("", []byte(text), "*", "*")
		f.Add("mqtt", []byte(text), "-mqtt.server,*", "wifi.*")
		f.Add("mqtt.server", []byte(text), "conf_acl,mqtt.*", "*")
	}
	f.Fuzz(func(t *testing.T, key string, text []byte, list, channel string) {
		disk := faultfs.New()
		o := config.Options{RootKey: rootKey, AllowDefaultAPPassword: true}
		s := open(t, disk, o)
		lock := config.Change{Key: "conf_acl", Value: quote(list), Vendor: true}
		if s.Set(lock) != nil {
			return // no text of a list
		}
		list = s.String("conf_acl") // as it is in JSON
		before := tree(t, s)
		var told []string
		s.Watch("*", func(changed []string) { told = append(told, changed...) })
		c := config.Change{Key: key, ACL: channel}
		if key == "" {
			c.Config = text
		} else {
			c.Value = text
		}
		err := s.Set(c)
		if e, is := errors.AsType[*config.KeyError](err); err != nil && (!is || len(e.Error()) > 512) {
			t.Fatalf("%v", err)
		}
		if err != nil && (tree(t, s) != before || len(told) > 0) {
			t.Fatalf("%v, but changed", err)
		}
		if err == nil && !json.Valid(text) {
			t.Fatalf("not JSON: %q", text)
		}
		for _, name := range told {
			if !acl.Allows(list, name) || !acl.Allows(channel, name) {
				t.Fatalf("%s was changed under %q and %q", name, list, channel)
			}
		}
		saveAndRead(t, s, disk, o)
	})
}

// saveAndRead saves and reads what there is, if it may be saved.
func saveAndRead(t *testing.T, s *config.Store, disk *faultfs.FS, o config.Options) {
	t.Helper()
	live := tree(t, s)
	if !json.Valid([]byte(live)) {
		t.Fatalf("no JSON: %s", live)
	}
	err := s.Save(normal)
	if errors.Is(err, config.ErrRules) {
		return
	}
	must(t, err)
	again := open(t, disk, o)
	if len(again.Problems()) > 0 || tree(t, again) != live || again.Status().Unsaved {
		t.Fatalf("%v\n%s\n%s", again.Problems(), live, tree(t, again))
	}
}

// FuzzLoad starts with files of any text: it starts, the vendor's lock holds, and what
// was read can be changed and saved.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{`{"mqtt":{"server":"a:1","enable":true}}`, `{"wifi":{"sta":{"ssid":"x","pass":"$enc1$"}}}`,
		`{"conf_acl":"*"}`, `{"mqtt":{"user":"\ud800","user":"b"}}`, ``, `[]`, `{"wifi":{"sta":{"pass":"` +
			seal(f, [32]byte{1, 2, 3}, "wifi.sta.pass", "ccm_A1B2C3", "geheim") + `"}}}`} {
		f.Add([]byte(text), []byte(text), byte(len(text)))
	}
	names := []string{"conf.json", "conf1.json", "conf_vendor.json", "conf8.json", "conf9.json.try"}
	f.Fuzz(func(t *testing.T, a, b []byte, which byte) {
		disk := faultfs.New()
		put(t, disk, "conf2.json", `{"conf_acl":"wifi.*,mqtt.user","mqtt":{"server":"locked"}}`)
		put(t, disk, names[int(which)%len(names)], string(a))
		put(t, disk, "conf9.json", string(b))
		o := config.Options{RootKey: rootKey, AllowDefaultAPPassword: true}
		s := open(t, disk, o)
		if int(which)%len(names) != 1 && s.String("conf_acl") != "wifi.*,mqtt.user" {
			t.Fatalf("the lock is open: %q", s.String("conf_acl"))
		}
		if s.String("mqtt.server") != "locked" && !strings.Contains(string(a), "conf_acl") {
			t.Fatalf("mqtt.server is %q", s.String("mqtt.server"))
		}
		live := tree(t, s)
		must(t, s.Set(config.Change{Key: "mqtt.user", Value: []byte(`"fuzz"`), Vendor: true}))
		if err := s.Save(normal); errors.Is(err, config.ErrRules) || errors.Is(err, config.ErrTooLarge) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		again := open(t, disk, o)
		must(t, again.Set(config.Change{Key: "mqtt.user", Value: quote(userOf(t, live)), Vendor: true}))
		if tree(t, again) != live && acl.Allows(again.String("conf_acl"), "mqtt.user") {
			t.Fatalf("%v\n%s\n%s\n%s", again.Problems(), files(t, disk), live, tree(t, again))
		}
		must(t, again.FactoryReset())
	})
}

// userOf returns mqtt.user of a tree.
func userOf(t *testing.T, live string) string {
	var all struct{ MQTT struct{ User string } }
	must(t, json.Unmarshal([]byte(live), &all))
	return all.MQTT.User
}

// FuzzSealed reads encrypted values of any text: only the one that was made for the
// key and the device is read.
func FuzzSealed(f *testing.F) {
	good := seal(f, [32]byte{1, 2, 3}, "wifi.sta.pass", "ccm_A1B2C3", "geheim")
	f.Add(good)
	f.Add("$enc1$")
	f.Add("$enc1$00000000$")
	f.Add(good[:20])
	f.Add(good + "=")
	f.Add("plain")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // JSON cannot have it
		}
		disk := faultfs.New()
		put(t, disk, "conf9.json", `{"wifi":{"sta":{"pass":`+string(quote(text))+`}}}`)
		s := open(t, disk, encrypted)
		switch got := s.String("wifi.sta.pass"); {
		case text == good && got != "geheim":
			t.Fatalf("%q", got)
		case text != good && strings.HasPrefix(text, "$enc1$") && (got != "" || len(s.Problems()) != 1):
			t.Fatalf("%q reads as %q", text, got)
		}
		must(t, s.Update(setKey("mqtt.user", `"u"`), &normal))
		if strings.HasPrefix(text, "$enc1$") && text != good && !strings.Contains(get(disk, "conf9.json"), string(quote(text))) {
			var all struct {
				Wifi struct{ Sta struct{ Pass string } }
			}
			must(t, json.Unmarshal([]byte(get(disk, "conf9.json")), &all))
			if all.Wifi.Sta.Pass != text {
				t.Fatalf("%q is not kept:\n%s", text, get(disk, "conf9.json"))
			}
		}
	})
}
