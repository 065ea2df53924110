package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// TestSchemaErrors describes keys that cannot be.
func TestSchemaErrors(t *testing.T) {
	key := func(name string) config.Key { return config.Key{Name: name, Type: config.Int} }
	refuse := func(value string) error {
		if value != "" {
			return errors.New("no")
		}
		return nil
	}
	for name, keys := range map[string][]config.Key{
		"no name":           {{Type: config.Int}},
		"empty part":        {key("a..b")},
		"dot at the end":    {key("a.")},
		"a slash":           {key("a/b")},
		"a blank":           {key("a b")},
		"not ASCII":         {key("ä")},
		"long":              {key(strings.Repeat("x", 129))},
		"deep":              {key("a" + strings.Repeat(".a", 16))},
		"no type":           {{Name: "a"}},
		"no such type":      {{Name: "a", Type: config.String + 1}},
		"secret number":     {{Name: "a", Type: config.Int, Secret: true}},
		"expanded number":   {{Name: "a", Type: config.Int, Expand: true}},
		"expanded secret":   {{Name: "a", Type: config.String, Secret: true, Show: true}},
		"default no JSON":   {{Name: "a", Type: config.String, Default: `x`}},
		"default of a type": {{Name: "a", Type: config.Int, Default: `"1"`}},
		"default refused":   {{Name: "a", Type: config.String, Default: `"x"`, Check: refuse}},
		"key below a key":   {key("a"), key("a.b")},
		"key above a key":   {key("a.b"), key("a")},
		"another type":      {key("a"), {Name: "a", Type: config.Bool}},
	} {
		if s, err := config.NewSchema(keys...); err == nil || s != nil {
			t.Errorf("%s: %v", name, s)
		}
	}
	many := make([]config.Key, config.MaxKeys+1)
	for i := range many {
		many[i] = key("k" + strings.Repeat("x", i%64) + "." + string(rune('a'+i/64%26)) + string(rune('a'+i/64/26)))
	}
	if _, err := config.NewSchema(many...); err == nil {
		t.Error("too many keys are taken")
	}
	if s, err := config.NewSchema(many[:config.MaxKeys]...); err != nil || len(s.Keys()) != config.MaxKeys {
		t.Error(err)
	}
}

// TestSchemaWith adds keys of an embedder, and other defaults.
func TestSchemaWith(t *testing.T) {
	limit := func(value string) error {
		if len(value) > 3 {
			return errors.New("too long")
		}
		return nil
	}
	ccm := config.CCM()
	n := len(ccm.Keys())
	mine, err := ccm.With(
		config.Key{Name: "app.mode", Type: config.String, Default: `"slow"`},
		config.Key{Name: "wifi.extra", Type: config.Int, Default: `7`},
		config.Key{Name: "app.token", Type: config.String, Secret: true, Check: limit},
		config.Key{Name: "mqtt.server", Type: config.String, Default: `"ours:8883"`},
		config.Key{Name: "app.factor", Type: config.Double},
	)
	must(t, err)
	if len(ccm.Keys()) != n || len(mine.Keys()) != n+4 || config.CCM() != ccm {
		t.Errorf("%d, %d, %d keys", n, len(ccm.Keys()), len(mine.Keys()))
	}
	only := mine.WithRules(func(v config.View) error {
		if v.String("app.mode") == "never" {
			return errNever
		}
		return nil
	})
	disk := faultfs.New()
	s := open(t, disk, config.Options{Schema: only})
	if s.String("mqtt.server") != "ours:8883" || s.Int("wifi.extra") != 7 || s.Double("app.factor") != 0 || s.Schema() != only || !s.Has("app.mode") || s.Has("app") || s.Has("no") {
		t.Error(tree(t, s))
	}
	text, err := s.AppendJSON(nil, "app", config.GetOptions{})
	if string(text) != `{"mode":"slow","token":"","factor":0.000000}` || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	if !strings.Contains(tree(t, s), `"sta_roam_interval":0,"extra":7}`) {
		t.Error("the keys of a group are not together")
	}
	if err := s.Update(setKey("wifi.sta.enable", `true`), &normal); !errors.Is(err, config.ErrRules) {
		t.Errorf("the rules of before: %v", err)
	}
	if err := s.Set(setKey("app.token", `"four"`)); !errors.Is(err, config.ErrInvalid) {
		t.Error(err)
	}
	must(t, s.Set(setKey("app", `{"token":"abc","mode":"never"}`)))
	if err := s.Save(normal); !errors.Is(err, errNever) || !errors.Is(err, config.ErrRules) || err.Error() != "never" || files(t, disk) != "" {
		t.Error(err)
	}
	if err := s.Update(setKey("app.mode", `"never"`), &normal); !errors.Is(err, errNever) {
		t.Error(err)
	}
	must(t, s.Update(setKey("app.mode", `"fast"`), &normal))
	if k, is := only.Lookup("app.token"); !is || !k.Secret {
		t.Error(k)
	}
	if _, is := only.Lookup("app"); is {
		t.Error("a group is no key")
	}
}

var errNever = errors.New("never")

// TestGetters reads keys of other types, and none.
func TestGetters(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{})
	must(t, s.Set(set(`{"mqtt":{"enable":true,"keep_alive":-5,"reconnect_timeout_min":1.25,"server":"x"}}`)))
	if !s.Bool("mqtt.enable") || s.Int("mqtt.keep_alive") != -5 || s.Double("mqtt.reconnect_timeout_min") != 1.25 || s.String("mqtt.server") != "x" {
		t.Error(tree(t, s))
	}
	for _, key := range []string{"", "mqtt", "no", "mqtt.server.x"} {
		if s.Bool(key) || s.Int(key) != 0 || s.Double(key) != 0 || s.String(key) != "" || s.Has(key) {
			t.Errorf("%q has a value", key)
		}
	}
	if s.Int("mqtt.enable") != 0 || s.Bool("mqtt.server") || s.String("mqtt.keep_alive") != "" || s.Double("mqtt.keep_alive") != 0 {
		t.Error("a value of another type")
	}
	var none config.View
	if none.Has("a") || none.Bool("a") || none.Int("a") != 0 || none.Double("a") != 0 || none.String("a") != "" {
		t.Error("a View of nothing has values")
	}
}

// TestNoLock uses a schema without conf_acl and device.id.
func TestNoLock(t *testing.T) {
	schema, err := config.NewSchema(config.Key{Name: "a", Type: config.String, Secret: true})
	must(t, err)
	disk := faultfs.New()
	o := config.Options{Schema: schema, RootKey: rootKey}
	s := open(t, disk, o)
	must(t, s.Update(setKey("a", `"x"`), &normal))
	if again := open(t, disk, o); again.String("a") != "x" || len(again.Problems()) > 0 {
		t.Error(again.Problems())
	}
	if err := s.Set(config.Change{Key: "a", Value: []byte(`"y"`)}); !errors.Is(err, config.ErrDenied) {
		t.Error(err)
	}
}

// TestExpand replaces placeholders.
func TestExpand(t *testing.T) {
	for _, c := range []struct{ text, mac, want string }{
		{"ccm_??????", "A0B1C2A1B2C3", "ccm_A1B2C3"},
		{"ccm_??????", "a0b1c2a1b2c3", "ccm_A1B2C3"},
		{"x_?", "A0B1C2A1B2C3", "x_?"},
		{"x_???", "A0B1C2A1B2C3", "x_???"},
		{"??-??", "A0B1C2A1B2C3", "B2-C3"},
		{"????????????", "A0B1C2A1B2C3", "A0B1C2A1B2C3"},
		{"??????????????", "A0B1C2A1B2C3", "??????????????"},
		{"none", "A0B1C2A1B2C3", "none"},
		{"", "A0B1C2A1B2C3", ""},
		{"ccm_??????", "", "ccm_??????"},
	} {
		if got := config.Expand(c.text, c.mac); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.text, c.mac, got, c.want)
		}
	}
}

// TestPlaceholders shows device.id with them replaced, and others as they are.
func TestPlaceholders(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, config.Options{})
	show := func(key string, layers int) string {
		text, err := s.AppendJSON(nil, key, config.GetOptions{Layers: layers})
		must(t, err)
		return string(text)
	}
	if show("device.id", 0) != `"ccm_A1B2C3"` || show("device.id", 1) != `"ccm_??????"` || show("wifi.ap.ssid", 0) != `"CCM_??????"` {
		t.Error(tree(t, s))
	}
	if s.String("device.id") != "ccm_A1B2C3" || s.String("wifi.ap.ssid") != "CCM_A1B2C3" || s.String("mqtt.server") != "iot.eclipse.org:1883" {
		t.Error(s.String("device.id"), s.String("wifi.ap.ssid"))
	}
	must(t, s.Update(setKey("bt.dev_name", `"bt-??"`), &normal))
	if s.String("bt.dev_name") != "bt-C3" || strings.Contains(get(disk, "conf9.json"), "device") {
		t.Error(files(t, disk))
	}
	must(t, s.Set(setKey("mqtt.pass", `"??"`)))
	if s.String("mqtt.pass") != "??" {
		t.Error("a secret was expanded")
	}
}
