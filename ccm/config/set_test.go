package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// TestSet makes changes and looks at one value afterwards.
func TestSet(t *testing.T) {
	for _, c := range []struct {
		name   string
		change config.Change
		key    string
		want   string
	}{
		{"tree", set(`{"mqtt":{"server":"a:1"}}`), "mqtt.server", `"a:1"`},
		{"white space", set(" { \"mqtt\" :\n{ \"enable\"\t: true } } "), "mqtt.enable", `true`},
		{"key of a value", setKey("mqtt.server", `"a:1"`), "mqtt.server", `"a:1"`},
		{"key of a group", setKey("mqtt", `{"server":"a:1","enable":true}`), "mqtt", ``},
		{"escaped names", set(`{"\u006dqtt":{"server":"a\u003a1"}}`), "mqtt.server", `"a:1"`},
		{"integral number", set(`{"mqtt":{"keep_alive":1.20e2}}`), "mqtt.keep_alive", `120`},
		{"least integer", set(`{"mqtt":{"keep_alive":-2147483648}}`), "mqtt.keep_alive", `-2147483648`},
		{"integer as a number", set(`{"mqtt":{"reconnect_timeout_min":3}}`), "mqtt.reconnect_timeout_min", `3.000000`},
		{"exact number", set(`{"mqtt":{"reconnect_timeout_min":0.0000001}}`), "mqtt.reconnect_timeout_min", `1e-07`},
		{"large number", set(`{"mqtt":{"reconnect_timeout_min":1e300}}`), "mqtt.reconnect_timeout_min", `1e+300`},
		{"minus zero", set(`{"mqtt":{"reconnect_timeout_min":-0}}`), "mqtt.reconnect_timeout_min", `0.000000`},
		{"unicode", set(`{"mqtt":{"server":"ü\u00fc\n\"<>"}}`), "mqtt.server", `"üü\n\"<>"`},
		{"unknown", set(`{"no":{"such":[{"a":1}]},"mqtt":{"no":null,"server":"a:1"}}`), "mqtt.server", `"a:1"`},
		{"deep unknown", set(`{"x":` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `,"mqtt":{"server":"a:1"}}`), "mqtt.server", `"a:1"`},
		{"the manual's frame", set(`{"wifi":{"ssid":{"enable":true,"ssid":"x","pass":"y"}}}`), "wifi.sta.ssid", `""`},
		{"dotted member", set(`{"mqtt.server":"a:1"}`), "mqtt.server", `"iot.eclipse.org:1883"`},
		{"dotted member below", setKey("wifi", `{"sta.ssid":"a"}`), "wifi.sta.ssid", `""`},
		{"other case", set(`{"MQTT":{"server":"a:1"}}`), "mqtt.server", `"iot.eclipse.org:1883"`},
		{"longest text", setKey("mqtt.server", `"`+strings.Repeat("x", config.MaxString)+`"`), "mqtt.server", `"` + strings.Repeat("x", config.MaxString) + `"`},
		{"nothing", set(`{}`), "mqtt.enable", `false`},
		{"channel", config.Change{Config: []byte(`{"wifi":{"sta":{"ssid":"net"}}}`), ACL: "wifi.sta.*"}, "wifi.sta.ssid", `"net"`},
		{"vendor", config.Change{Config: []byte(`{"mqtt":{"server":"a:1"}}`), Vendor: true}, "mqtt.server", `"a:1"`},
		{"level 9", config.Change{Config: []byte(`{"mqtt":{"server":"a:1"}}`), ACL: "*", Level: 9}, "mqtt.server", `"a:1"`},
		{"level 5 waits", config.Change{Config: []byte(`{"mqtt":{"server":"a:1"}}`), ACL: "*", Level: 5}, "mqtt.server", `"iot.eclipse.org:1883"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, faultfs.New(), config.Options{})
			must(t, s.Set(c.change))
			if c.want == "" {
				if s.String("mqtt.server") != "a:1" || !s.Bool("mqtt.enable") {
					t.Error(tree(t, s))
				}
				return
			}
			if got, err := s.AppendJSON(nil, c.key, config.GetOptions{}); string(got) != c.want || err != nil {
				t.Errorf("%s: %s, %v, want %s", c.key, got, err, c.want)
			}
		})
	}
}

// TestSetRefused makes changes that are refused: the error names the key, and memory
// and disk stay as they are.
func TestSetRefused(t *testing.T) {
	long := `"` + strings.Repeat("x", config.MaxString+1) + `"`
	for _, c := range []struct {
		name   string
		acl    string
		change config.Change
		kind   config.Kind
		key    string
	}{
		{"tree", "wifi.*", set(`{"mqtt":{"server":"e"}}`), config.Denied, "mqtt.server"},
		{"key", "wifi.*", setKey("mqtt.server", `"e"`), config.Denied, "mqtt.server"},
		{"group", "-mqtt.*,*", setKey("mqtt", `{"server":"e"}`), config.Denied, "mqtt.server"},
		{"the lock by key", "wifi.*", setKey("conf_acl", `"*"`), config.Denied, "conf_acl"},
		{"the lock by tree", "wifi.*", set(`{"conf_acl":"*"}`), config.Denied, "conf_acl"},
		{"widened in the same call", "conf_acl", set(`{"conf_acl":"*","mqtt":{"server":"e"}}`), config.Denied, "mqtt.server"},
		{"widened by key first", "conf_acl", set(`{"mqtt":{"server":"e"},"conf_acl":"*"}`), config.Denied, "mqtt.server"},
		{"empty list", "", set(`{"wifi":{"sta":{"ssid":"x"}}}`), config.Denied, "wifi.sta.ssid"},
		{"same value", "wifi.*", setKey("mqtt.enable", `false`), config.Denied, "mqtt.enable"},
		{"stars", "-wifi.sta.pass,*", setKey("wifi.sta.pass", `"********"`), config.Denied, "wifi.sta.pass"},
		{"refused before ill-typed", "wifi.*", set(`{"mqtt":{"server":1}}`), config.Denied, "mqtt.server"},
		{"first of two", "wifi.*", set(`{"wifi":{"sta":{"enable":"yes"}},"mqtt":{"server":"e"}}`), config.BadType, "wifi.sta.enable"},
		{"level 5", "wifi.*", config.Change{Config: []byte(`{"mqtt":{"server":"e"}}`), ACL: "*", Level: 5}, config.Denied, "mqtt.server"},
		{"channel", "*", config.Change{Config: []byte(`{"mqtt":{"server":"e"}}`), ACL: "wifi.sta.*"}, config.Denied, "mqtt.server"},
		{"channel without rights", "*", config.Change{Config: []byte(`{"mqtt":{"server":"e"}}`)}, config.Denied, "mqtt.server"},
		{"text for a number", "*", set(`{"mqtt":{"keep_alive":"60"}}`), config.BadType, "mqtt.keep_alive"},
		{"fraction", "*", set(`{"mqtt":{"keep_alive":1.5}}`), config.BadType, "mqtt.keep_alive"},
		{"huge integer", "*", set(`{"mqtt":{"keep_alive":99999999999}}`), config.BadType, "mqtt.keep_alive"},
		{"integer just too large", "*", set(`{"mqtt":{"keep_alive":2147483648}}`), config.BadType, "mqtt.keep_alive"},
		{"integer just too small", "*", set(`{"mqtt":{"keep_alive":-2147483649}}`), config.BadType, "mqtt.keep_alive"},
		{"infinite number", "*", set(`{"mqtt":{"reconnect_timeout_min":1e999}}`), config.BadType, "mqtt.reconnect_timeout_min"},
		{"number for a boolean", "*", set(`{"mqtt":{"enable":1}}`), config.BadType, "mqtt.enable"},
		{"number for text", "*", set(`{"mqtt":{"server":1}}`), config.BadType, "mqtt.server"},
		{"null", "*", set(`{"mqtt":{"server":null}}`), config.BadType, "mqtt.server"},
		{"object for text", "*", set(`{"mqtt":{"server":{"a":1}}}`), config.BadType, "mqtt.server"},
		{"array for text", "*", set(`{"mqtt":{"server":["a"]}}`), config.BadType, "mqtt.server"},
		{"text for a group", "*", set(`{"mqtt":"x"}`), config.BadType, "mqtt"},
		{"null for a group", "*", set(`{"mqtt":null}`), config.BadType, "mqtt"},
		{"array for a group", "*", setKey("mqtt", `[]`), config.BadType, "mqtt"},
		{"no object", "*", set(`[1]`), config.BadType, ""},
		{"ill-typed after good ones", "*", set(`{"wifi":{"sta":{"ssid":"net","enable":"yes"}}}`), config.BadType, "wifi.sta.enable"},
		{"twice", "*", set(`{"wifi":{"sta":{"ssid":"a"}},"wifi":{"sta":{"ssid":"b"}}}`), config.Invalid, "wifi"},
		{"twice, escaped", "*", set(`{"mqtt":{"enable":true,"\u0065nable":true}}`), config.Invalid, "mqtt.enable"},
		{"twice in the unknown", "*", set(`{"no":{"a":[{"b":1,"b":2}]}}`), config.Invalid, "no.a.b"},
		{"twice unknown", "*", set(`{"no":1,"no":1}`), config.Invalid, "no"},
		{"twice after", "*", set(`{"mqtt":{"enable":true},"x":{"a":1,"a":1}}`), config.Invalid, "x.a"},
		{"too long", "*", setKey("mqtt.server", long), config.Invalid, "mqtt.server"},
		{"ssid too long", "*", setKey("wifi.sta.ssid", `"`+strings.Repeat("x", 33)+`"`), config.Invalid, "wifi.sta.ssid"},
		{"passphrase too long", "*", setKey("wifi.sta1.pass", `"`+strings.Repeat("x", 65)+`"`), config.Invalid, "wifi.sta1.pass"},
		{"NUL", "*", setKey("mqtt.server", `"a\u0000b"`), config.Invalid, "mqtt.server"},
		{"no such algorithm", "*", setKey("rpc.auth_algo", `2`), config.Invalid, "rpc.auth_algo"},
		{"looks encrypted, damaged", "*", setKey("dash.token", `"$enc2$00000000$`+strings.Repeat("A", 38)+`"`), config.Invalid, "dash.token"},
		{"looks encrypted, longer", "*", setKey("dash.token", `"\nc1$0123abcd$`+strings.Repeat("A", 60)+`"`), config.Invalid, "dash.token"},
		{"looks encrypted", "*", setKey("dash.token", `"$enc1$x"`), config.Invalid, "dash.token"},
		{"not JSON", "*", set(`{"mqtt":`), config.Invalid, ""},
		{"more than JSON", "*", set(`{} {}`), config.Invalid, ""},
		{"nothing", "*", config.Change{ACL: "*"}, config.Invalid, ""},
		{"no value", "*", config.Change{Key: "mqtt.server", ACL: "*"}, config.Invalid, "mqtt.server"},
		{"not UTF-8", "*", set("{\"mqtt\":{\"server\":\"\xff\"}}"), config.Invalid, ""},
		{"deep", "*", set(strings.Repeat("[", 1<<15) + strings.Repeat("]", 1<<15)), config.Invalid, ""},
		{"huge", "*", set(`{"x":"` + strings.Repeat("x", config.MaxFile) + `"}`), config.Invalid, ""},
		{"unknown key", "*", setKey("no.such", `1`), config.Unknown, "no.such"},
		{"key below a key", "*", setKey("mqtt.server.x", `1`), config.Unknown, "mqtt.server.x"},
		{"key with a dot too much", "*", setKey("mqtt.", `1`), config.Unknown, "mqtt."},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := faultfs.New()
			s := open(t, disk, config.Options{})
			must(t, s.Set(config.Change{Config: []byte(`{"conf_acl":"` + c.acl + `","wifi":{"sta":{"pass":"password"}}}`), Vendor: true}))
			must(t, s.Save(config.SaveOptions{}))
			live, stored := tree(t, s), files(t, disk)
			for _, save := range []*config.SaveOptions{nil, {}} {
				err := s.Update(c.change, save)
				e, is := errors.AsType[*config.KeyError](err)
				if !is || e.Kind != c.kind || e.Key != c.key || !strings.Contains(err.Error(), c.key) {
					t.Errorf("%v, want kind %v for %q", err, c.kind, c.key)
				}
				if tree(t, s) != live || files(t, disk) != stored || s.Status().Unsaved {
					t.Errorf("changed:\n%s\n%s", tree(t, s), files(t, disk))
				}
			}
			must(t, s.Save(config.SaveOptions{Level: 5}))
			if files(t, disk) != stored {
				t.Errorf("level 5 was staged:\n%s", files(t, disk))
			}
		})
	}
}

// TestSetInvalid makes changes that no text can describe.
func TestSetInvalid(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{})
	for _, c := range []config.Change{
		{Config: []byte(`{}`), Level: -1},
		{Config: []byte(`{}`), Level: 10},
		{Config: []byte(`{}`), Key: "mqtt", Value: []byte(`{}`)},
	} {
		if s.Set(c) == nil {
			t.Errorf("%v", c)
		}
	}
	for _, o := range []config.SaveOptions{{Level: -1}, {Level: 10}, {Level: 5, TryOnce: true}} {
		if s.Save(o) == nil {
			t.Errorf("%v", o)
		}
	}
}

// TestSetTooLarge sets values that are small each, and too many together.
func TestSetTooLarge(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, config.Options{RootKey: rootKey})
	value := strings.Repeat("x", config.MaxString)
	n := 0
	var err error
	for _, k := range s.Schema().Keys() {
		if k.Type != config.String || k.Check != nil || k.Name == "conf_acl" || strings.HasPrefix(k.Name, "wifi.") {
			continue
		}
		if err = s.Set(setKey(k.Name, `"`+value+`"`)); err != nil {
			break
		}
		n++
	}
	if e, is := errors.AsType[*config.KeyError](err); !is || e.Kind != config.Invalid || !errors.Is(err, config.ErrTooLarge) || n < 10 || n > 15 {
		t.Fatalf("after %d: %v", n, err)
	}
	must(t, s.Save(config.SaveOptions{}))
	if again := open(t, disk, config.Options{RootKey: rootKey}); tree(t, again) != tree(t, s) || len(again.Problems()) > 0 {
		t.Errorf("%v", again.Problems())
	}
}

// TestStrictKeys refuses keys that the schema does not have.
func TestStrictKeys(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{StrictKeys: true})
	err := s.Set(set(`{"mqtt":{"enable":true,"no":{"such":1}}}`))
	if e, is := errors.AsType[*config.KeyError](err); !is || e.Kind != config.Invalid || e.Key != "mqtt.no" || s.Bool("mqtt.enable") {
		t.Error(err)
	}
}

// TestCompatSilent leaves out what may not be set, and nothing else.
func TestCompatSilent(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{CompatSilent: true})
	must(t, s.Set(set(`{"conf_acl":"-mqtt.*,*"}`)))
	must(t, s.Set(set(`{"mqtt":{"server":"evil"},"wifi":{"sta":{"ssid":"net"}}}`)))
	must(t, s.Set(setKey("mqtt.server", `"evil"`)))
	if s.String("mqtt.server") != "iot.eclipse.org:1883" || s.String("wifi.sta.ssid") != "net" {
		t.Error(tree(t, s))
	}
	if err := s.Set(set(`{"wifi":{"sta":{"ssid":"other","enable":1}}}`)); !errors.Is(err, config.ErrBadType) || s.String("wifi.sta.ssid") != "net" {
		t.Error(err)
	}
}

// TestErrorsShowNoValue sets values that must not appear in errors.
func TestErrorsShowNoValue(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{})
	for _, tree := range []string{`{"dash":{"token":["canary"]}}`, `{"rpc":{"auth_algo":"canary"}}`, `{"wifi":{"sta":{"pass":{"canary":1}}}}`,
		`{"wifi":{"sta":{"ssid":"` + strings.Repeat("canary", 10) + `"}}}`, `{"dash":{"token":"canary"`} {
		err := s.Set(set(tree))
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "canary") {
			t.Errorf("%s: %#v", tree, err)
		}
	}
	name := strings.Repeat("n", 5000)
	if err := s.Set(setKey(name, `1`)); err == nil || len(err.Error()) > 200 {
		t.Error(err)
	}
}

// TestSetNotSealed sets passwords that only resemble encrypted values.
func TestSetNotSealed(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{})
	for _, password := range []string{"$enc", "$enc1", "$enc123456", "$enc2$0123abcd$" + strings.Repeat("A", 37), "0123abcd$" + strings.Repeat("A", 37) + ".",
		"0123abcX$" + strings.Repeat("A", 60), "123abcd$" + strings.Repeat("A", 60), strings.Repeat("A", 100), "$" + strings.Repeat("A", 60)} {
		if err := s.Set(setKey("dash.token", `"`+password+`"`)); err != nil || s.String("dash.token") != password {
			t.Errorf("%s: %v", password, err)
		}
	}
}
