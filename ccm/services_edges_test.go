package ccm_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/ccm/wifi"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// endUser returns an end user who has come through the provisioning window.
func endUser(remote string) *access.Origin {
	return &access.Origin{Role: access.User, Channel: access.HTTP, Remote: remote + ":99"}
}

// asking returns a function that makes a call from this machine, without an error
// unless it is to have one of the codes.
func (m *managed) asking(t *testing.T) func(method, params string, codes ...int) string {
	return func(method, params string, codes ...int) string {
		t.Helper()
		got := m.ask(t, &local, `{"id":1,"method":"`+method+`","params":`+params+`}`)
		want := 0
		if len(codes) > 0 {
			want = codes[0]
		}
		if code := errorCode(got); code != want {
			t.Errorf("%s %s: %s, want %d", method, params, got, want)
		}
		return got
	}
}

// TestBadID: an id with which a module could not work is refused, and one that is
// there all the same does not keep it from starting.
func TestBadID(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		ask := m.asking(t)
		for _, id := range []string{"a/b", "a+", "#", "a b", `a\nb`, `\u0000`, `\uffff`, "$SYS", strings.Repeat("x", 129)} {
			ask("Config.Set", `{"key":"device.id","value":"`+id+`"}`, 400)
		}
		for name, code := range map[string]int{"my thing": 400, "a.b": 400, strings.Repeat("x", 129): 400, "thing-??????": 0, "A:b_1": 0, "": 0} {
			ask("Config.Set", `{"key":"aws.thing_name","value":"`+name+`"}`, code)
		}
		for _, id := range []string{"dev-1", "ccm_??????", "", strings.Repeat("x", 128)} {
			ask("Config.Set", `{"key":"device.id","value":"`+id+`"}`)
		}
	})
	schema, err := config.NewSchema(config.Key{Name: "device.id", Type: config.String, Default: `"a/b"`})
	if err != nil {
		t.Fatal(err)
	}
	s, err := config.Open(t.Context(), config.Options{Dir: t.TempDir(), Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	log := new(logbook)
	m, err := ccm.New(ccm.Config{Logger: log.logger(), Management: ccm.Management{Store: s}})
	if err != nil || m.ID() != ccm.DefaultID || log.count("level=ERROR", "device.id") != 1 {
		t.Errorf("%v, %v", m, err)
	}
}

// TestBadThing: a device.id that is no name of a thing leaves the module without a
// shadow; a name that the program gives is an error.
func TestBadThing(t *testing.T) {
	s, err := config.Open(t.Context(), config.Options{Dir: t.TempDir()})
	if err == nil {
		err = s.Set(config.Change{Key: "device.id", Value: []byte(`"my.device"`), Vendor: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	h := newHand(t, ccmtest.Line{})
	cfg := func() ccm.Config {
		return ccm.Config{Cloud: via(newBroker(t, ccmtest.BrokerOptions{})), Hosts: []ccm.HostConfig{h.config("")}, Shadow: ccm.ShadowConfig{Backend: ccm.AWS}}
	}
	log := new(logbook)
	c := cfg()
	c.Logger, c.Management.Store = log.logger(), s
	m, err := ccm.New(c)
	if err != nil || m.ID() != "my.device" || log.count("level=ERROR", "no shadow") != 1 {
		t.Fatalf("%v", err)
	}
	if _, known := m.Host("").Shadow(); known || m.Host("").Report([]byte(`{}`)) == nil {
		t.Error("there is a shadow")
	}
	c = cfg()
	c.ID = "my.device"
	if _, err := ccm.New(c); err == nil {
		t.Error("a bad Config.ID is taken")
	}
}

// TestHostParams: what hosts cannot read does not reach them, and no method without a
// name.
func TestHostParams(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, h *hand) {
		var seen []string
		h.answer(func(line string) (string, bool) {
			var msg jsonrpc.Message
			if jsonrpc.Parse([]byte(line), &msg) != nil || strings.HasPrefix(string(msg.Method()), "Sys.") {
				return "", false
			}
			seen = append(seen, line)
			return fmt.Sprintf(`{"id":%s,"result":1}`, msg.ID()), true
		})
		ask := m.asking(t)
		for _, p := range []string{`[1e99999999]`, `[1e-2147483647]`, `[` + strings.Repeat("1", 60) + `]`, strings.Repeat("[", 25) + strings.Repeat("]", 25)} {
			ask("Sum", p, 400)
		}
		for _, method := range []string{"host/", "/", "", "/Sum"} {
			m.ask(t, &local, `{"id":1,"method":"`+method+`"}`)
		}
		for _, line := range seen {
			if strings.Contains(line, `"method":""`) || !strings.Contains(line, "/") {
				t.Errorf("the host was sent %s", line)
			}
		}
		seen = nil
		ask("Sum", `["\u20ac\/\u003c"]`)
		if len(seen) != 1 || !strings.Contains(seen[0], `["€/<"]`) {
			t.Errorf("the host was sent %q", seen)
		}
	})
}

// TestHostShadow: nor does it in a shadow.
func TestHostShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		h := newHand(t, ccmtest.Line{})
		log := new(logbook)
		r := up(t, ccm.Config{ID: "lamp", Logger: log.logger(), Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
		found(t, r.module.Host(""))
		time.Sleep(time.Second)
		h.got()
		set(t, c, "lamp", `{"name":"\u20ac","big":1e999}`)
		time.Sleep(time.Second)
		h.want("delta", `{"method":"Shadow.Delta","params":{"name":"€"}}`)
		if log.count("level=WARN", "delta not delivered", "/big") != 1 {
			t.Error("nobody is told")
		}
		h.asks(`{"id":5,"method":"Shadow.Get"}`, `{"id":5,"error":{"code":413,"message":"the shadow: a number is too long for a host"}}`)
	})
}

// TestHostAlias: a slash before a name makes no other way to it.
func TestHostAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := `[{"method":"Sum","acl":"-*"},{"method":"host/Sum","acl":"-*"},{"ch_type":"MQTT","acl":"*"}]`
		_, _, _, c := calledModule(t, ccm.Config{Management: ccm.Management{Access: access.Config{Rules: func() (string, string) { return rules, "" }}}})
		for _, method := range []string{"Sum", "host/Sum"} {
			c.asks(call("1", method, "[1]"), `{"id":1,"error":{"code":403,"message":"unauthorized"}}`)
		}
		publish(t, c.b, "dev/rpc", call("2", "/Sum", "[1]"))
		if got := strings.Join(c.got(), ""); strings.Contains(got, `"of":"host"`) {
			t.Errorf("answered %s", got)
		}
	})
}

// TestOwnInPlaceOfBuiltin: a handler of the program that takes the place of one of
// the module is not as open as that.
func TestOwnInPlaceOfBuiltin(t *testing.T) {
	for _, pattern := range []string{"Sys.*", "Sys.GetInfo"} {
		inBubble(t, managedConfig{password: "secret"}, func(t *testing.T, m *managed, _ *hand) {
			m.window.Store(true)
			frame := `{"id":1,"method":"Sys.GetInfo"}`
			if got := m.ask(t, endUser("192.168.4.2"), frame); errorCode(got) != 0 {
				t.Errorf("the module's: %s", got)
			}
			m.module.HandleFunc(pattern, func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Result([]byte(`"own"`)) })
			if got := m.ask(t, endUser("192.168.4.2"), frame); errorCode(got) == 0 {
				t.Errorf("%s: an end user gets %s", pattern, got)
			}
			lan := access.Origin{Role: access.LAN, Channel: access.HTTP, Remote: "192.0.2.7:99", User: "admin"}
			if got := m.ask(t, &lan, frame); errorCode(got) != 403 {
				t.Errorf("%s: LAN gets %s", pattern, got)
			}
		})
	}
}

// TestRefusedSaves: changes that are refused, and so not written, use up nobody's
// saves.
func TestRefusedSaves(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		ask := m.asking(t)
		for range 20 {
			ask("Config.Set", `{"config":{"device":{"id":"a/b"}},"save":true}`, 400)
		}
		for i := range 10 {
			ask("Config.Set", fmt.Sprintf(`{"config":{"wifi":{"sta":{"ssid":"n%d"}}},"save":true}`, i))
		}
		ask("Config.Set", `{"config":{"debug":{"level":3}},"save":true}`, 429)
	})
}

// TestConfigParams: value and config mean the same, null is nothing, and an end user
// may not name a level.
func TestConfigParams(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		ask := m.asking(t)
		for i, p := range []string{`"value":{"debug":{"level":%d}}`, `"config":{"debug":{"level":%d}}`, `"key":"debug.level","config":%d`,
			`"key":"debug.level","value":%d,"config":null`, `"key":null,"config":{"debug":{"level":%d}},"value":null`} {
			ask("Config.Set", "{"+fmt.Sprintf(p, i)+"}")
			if n := m.store.Int("debug.level"); n != i {
				t.Errorf("%s: %d", p, n)
			}
		}
		ask("Config.Set", `{"key":"debug.level","value":null,"config":null}`, 400)
		m.window.Store(true)
		for _, frame := range []string{
			`"Config.Set","params":{"config":{"wifi":{"sta":{"ssid":"x"}}},"level":9}`,
			`"Config.Set","params":{"config":{"wifi":{"sta":{"ssid":"x"}}},"level":null}`,
			`"Config.Get","params":{"key":"device.id","level":9}`,
		} {
			if got := m.ask(t, endUser("192.168.4.2"), `{"id":1,"method":`+frame+`}`); errorCode(got) != 403 {
				t.Errorf("%s: %s", frame, got)
			}
		}
	})
}

// TestSmallFrames: rpc.max_frame_size cannot keep out the frame that sets it back.
func TestSmallFrames(t *testing.T) {
	for _, size := range []string{"20", "-1", "0"} {
		inBubble(t, managedConfig{setup: func(s *config.Store) error {
			return s.Set(config.Change{Key: "rpc.max_frame_size", Value: []byte(size), Vendor: true})
		}}, func(t *testing.T, m *managed, _ *hand) {
			if got := m.asking(t)("Config.Set", `{"key":"rpc.max_frame_size","value":4096,"save":true}`); !strings.Contains(got, `"saved":true`) {
				t.Errorf("%s: %q", size, got)
			}
		})
	}
}

// TestWifiRules: Wifi.Setup* take what Config.Set takes (rulings D5).
func TestWifiRules(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		ask := m.asking(t)
		const ap = `"ip":"192.168.4.1","netmask":"255.255.255.0","dhcp_start":"192.168.4.2","dhcp_end":"192.168.4.9"`
		s32, hex64 := strings.Repeat("s", 32), strings.Repeat("0a", 32)
		for _, p := range []string{`"ssid":"` + s32 + `"`, `"ssid":"n","pass":"` + hex64 + `"`, `"ssid":"n","pass":"12345"`, `"ssid":"n","pass":"1234567890123"`} {
			ask("Wifi.SetupSTA", `{"enable":true,`+p+`}`)
		}
		for _, p := range []string{`"ssid":"` + s32 + `s"`, `"ssid":"n","pass":"123456"`, `"ssid":"n","pass":"1234567"`, `"ssid":"n","pass":"` + hex64 + `0"`} {
			ask("Wifi.SetupSTA", `{"enable":true,`+p+`}`, -1)
		}
		ask("Wifi.SetupSTA", `{"enable":true,"ssid":"n","nameserver":"fe80::1%x\nfoo"}`, 400)
		ask("Wifi.SetupAP", `{"enable":true,"ssid":"me","pass":"`+hex64+`",`+ap+`}`)
		ask("Wifi.SetupAP", `{"enable":true,"ssid":"me","pass":"Mongoose",`+ap+`}`, -1)
		ask("Wifi.SetupAP", `{"enable":true,"ssid":"me","pass":"12345",`+ap+`}`, -1)
		ask("Wifi.SetupAP", `{"enable":true,"ssid":"me","channel":4294967302,`+ap+`}`, 400)
	})
}

// TestForeignSSID: the name of a network may be any bytes; replies are text.
func TestForeignSSID(t *testing.T) {
	const ssid = "caf\xe9\x00\n\xff"
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		m.net.SetAccessPoints(wifi.FakeAccessPoint{AccessPoint: wifi.AccessPoint{SSID: ssid, BSSID: wifi.BSSID{2}}})
		if err := m.net.SetStation(t.Context(), wifi.Station{Enable: true, SSID: ssid}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, method := range []string{"Wifi.Scan", "Sys.GetInfo"} {
			got := m.ask(t, &local, `{"id":1,"method":"`+method+`"}`)
			if !utf8.ValidString(got) || !jsonrpc.Valid([]byte(got)) || !strings.Contains(got, `caf�\u0000\n`) {
				t.Errorf("%s: %q", method, got)
			}
		}
	})
}

// TestKeyFileNames: a file that the configuration has for a private key is not handed
// out, however it is spelled and whatever is in it, nor under another name.
func TestKeyFileNames(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		ask := m.asking(t)
		ask("FS.Put", `{"filename":"der.key","data":"`+base64.StdEncoding.EncodeToString([]byte("\x30\x00opaque"))+`"}`)
		for _, name := range []string{`certs\\der.key`, `certs/der.key`, `/der.key`, `der.key/`, `der.key`} {
			ask("Config.Set", `{"key":"mqtt.ssl_key","value":"`+name+`"}`)
			ask("FS.Get", `{"filename":"der.key"}`, 403)
		}
		ask("FS.Rename", `{"src":"der.key","dst":"x"}`, 403)
		ask("FS.Put", `{"filename":"pem.key","data":"`+base64.StdEncoding.EncodeToString([]byte("-----BEGIN PRIVATE KEY-----\nMEEC\n-----END PRIVATE KEY-----\n"))+`"}`)
		ask("Config.Set", `{"key":"mqtt.ssl_key","value":"pem.key"}`)
		ask("FS.Rename", `{"src":"pem.key","dst":"old.key"}`) // that is one under any name
		ask("FS.Get", `{"filename":"old.key"}`, 403)
		ask("FS.Rename", `{"src":"pem.key","dst":"x"}`, 400) // is not there any more
		ask("Config.Set", `{"key":"mqtt.ssl_key","value":""}`)
		ask("FS.Rename", `{"src":"der.key","dst":"x"}`)
		ask("FS.Get", `{"filename":"x"}`)
	})
}
