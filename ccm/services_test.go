package ccm_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/ccm/wifi"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// local is a program on this machine.
var local = access.Origin{Role: access.LAN, Channel: access.WSIn, Remote: "127.0.0.1:4711"}

// TestManagement calls the methods for what there is to manage.
func TestManagement(t *testing.T) {
	const key = "-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\n"
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		m.net.SetAccessPoints(wifi.FakeAccessPoint{AccessPoint: wifi.AccessPoint{SSID: `a"b`, Auth: wifi.AuthWPA2, Channel: 6, RSSI: -40, BSSID: wifi.BSSID{1, 2, 3, 4, 5, 6}}, Password: "12345678"})
		for _, c := range []struct{ method, params, want string }{
			{"Config.Get", `{"key":"debug.level"}`, `"result":2}`},
			{"Config.Get", `{"key":"debug.level","level":0}`, `"result":2}`},
			{"Config.Get", `{"key":"debug.level","level":10}`, `"error":{"code":400,"message":"level must be 0 to 9"}}`},
			{"Config.Get", `{"key":5}`, `"error":{"code":400,"message":"key must be a string"}}`},
			{"Config.Get", `{"key":"no.such"}`, `"error":{"code":404,"message":"invalid config key [no.such]"}}`},
			{"Config.Get", `{"key":"provision.led"}`, `"result":{"pin":-1,"active_high":true}}`},
			{"Config.Set", `{"config":{"debug":{"level":3}}}`, `"result":{"saved":false}}`},
			{"Config.Get", `{"key":"debug.level"}`, `"result":3}`},
			{"Config.Set", `{"key":"debug.level","value":4,"save":true}`, `"result":{"saved":true}}`},
			{"Config.Set", `{"key":"debug","config":{"level":2}}`, `"result":{"saved":false}}`},
			{"Config.Set", `{"key":"debug.level"}`, `"error":{"code":400,"message":"value is required"}}`},
			{"Config.Set", ``, `"error":{"code":400,"message":"value is required"}}`},
			{"Config.Set", `{"config":{"debug":{"level":"x"}}}`, `"error":{"code":400,"message":"invalid config value: [debug.level] is not a`},
			{"Config.Set", `{"config":{"no":{"such":1}}}`, `"result":{"saved":false}}`},
			{"Config.Set", `{"key":"no.such","value":1}`, `"error":{"code":404,"message":"invalid config key [no.such]"}}`},
			{"Config.Set", `{"config":{},"level":0}`, `"error":{"code":403,"message":"not allowed to set this level"}}`},
			{"Config.Set", `{"config":{},"level":5}`, `"error":{"code":403,"message":"not allowed to set this level"}}`},
			{"Config.Set", `{"config":{},"level":9}`, `"result":{"saved":false}}`},
			{"Config.Set", `{"config":{},"level":-1}`, `"error":{"code":400,"message":"level must be 1 to 9"}}`},
			{"Config.Set", `{"config":{},"save":"yes"}`, `"error":{"code":400,"message":"save must be true or false"}}`},
			{"Config.Set", `{"config":{"update":{"sig_req_mask":0}}}`, `"error":{"code":403,"message":"not allowed to set [update.sig_req_mask]"}}`},
			{"Config.Set", `{"config":{"update":{"key0":""}}}`, `"error":{"code":403,"message":"not allowed to set [update.key0]"}}`},
			{"Config.Set", `{"config":{"wifi":{"sta":{"enable":true}}},"save":true}`, `"error":{"code":-1,"message":"error saving config: STA SSID must be between 1 and 32 chars"}}`},
			{"Config.Get", `{"key":"wifi.sta.enable"}`, `"result":false}`},
			{"Config.Set", `{"config":{"wifi":{"sta":{"pass":"p4ssw0rd"}}},"save":true}`, `"result":{"saved":true}}`},
			{"Config.Get", `{"key":"wifi.sta.pass"}`, `"result":"********"}`},
			{"Config.Save", ``, `"result":{"saved":true}}`},
			{"Config.Save", `{"reboot":1}`, `"error":{"code":400,"message":"reboot must be true or false"}}`},

			{"FS.List", ``, `"result":[]}`},
			{"FS.Put", `{"filename":"a.txt","data":"` + b64("hello") + `"}`, `"result":null}`},
			{"FS.Put", `{"filename":"a.txt","append":true,"data":"` + b64(" world") + `"}`, `"result":null}`},
			{"FS.Put", `{"filename":"a.txt","append":true,"offset":5,"data":"` + b64(" world") + `"}`, `"result":null}`},
			{"FS.Get", `{"filename":"a.txt"}`, `"result":{"data":"` + b64("hello world") + `","left":0}}`},
			{"FS.Get", `{"filename":"/a.txt","offset":6,"len":3}`, `"result":{"data":"` + b64("wor") + `","left":2}}`},
			{"FS.Get", `{"filename":"a.txt","offset":99}`, `"result":{"data":"","left":0}}`},
			{"FS.Get", `{"filename":"a.txt","offset":-1}`, `"error":{"code":400,"message":"illegal offset"}}`},
			{"FS.Get", `{"filename":"a.txt","len":1e99}`, `"error":{"code":400,"message":"len must be a whole number"}}`},
			{"FS.Get", `{}`, `"error":{"code":400,"message":"filename is required"}}`},
			{"FS.Get", `{"filename":"nofile"}`, `"error":{"code":400,"message":"failed to open file \"nofile\""}}`},
			{"FS.Get", `{"filename":"../conf9.json"}`, `"error":{"code":400,"message":"`},
			{"FS.Put", `{"filename":"../x","data":""}`, `"error":{"code":400,"message":"`},
			{"FS.Put", `{"filename":"x","data":"!"}`, `"error":{"code":400,"message":"data is not base64"}}`},
			{"FS.Put", `{"filename":"x","data":5}`, `"error":{"code":400,"message":"data must be a string"}}`},
			{"FS.Put", `{"filename":"x","offset":5,"data":""}`, `"error":{"code":400,"message":"`},
			{"FS.Put", `{"filename":"x","offset":-7,"data":""}`, `"error":{"code":400,"message":"illegal offset"}}`},
			{"FS.Put", `{"filename":"a.txt","offset":262144,"data":"` + b64("x") + `"}`, `"error":{"code":4`},
			{"FS.ListExt", `{"path":"/"}`, `"result":[{"name":"a.txt","size":11}]}`},
			{"FS.List", `{"path":"/sub"}`, `"result":[]}`},
			{"FS.Rename", `{"src":"a.txt","dst":"b.txt"}`, `"result":null}`},
			{"FS.Rename", `{"src":"a.txt","dst":"b.txt"}`, `"error":{"code":400,"message":"failed to open file \"a.txt\""}}`},
			{"FS.Rename", `{"src":"b.txt"}`, `"error":{"code":400,"message":"dst is required"}}`},
			{"FS.List", `{}`, `"result":["b.txt"]}`},
			{"FS.Remove", `{"filename":"b.txt"}`, `"result":null}`},
			{"FS.Remove", `{"filename":"b.txt"}`, `"error":{"code":400,"message":"failed to open file \"b.txt\""}}`},
			{"FS.Put", `{"filename":"k.pem","data":"` + b64(key) + `"}`, `"result":null}`},
			{"FS.Get", `{"filename":"k.pem"}`, `"error":{"code":403,"message":"private keys are not handed out"}}`},
			{"FS.Get", `{"filename":"k.pem","offset":40,"len":5}`, `"error":{"code":403,"message":"private keys are not handed out"}}`},
			{"FS.Put", `{"filename":"der.key","data":"` + b64("\x30\x00") + `"}`, `"result":null}`},
			{"FS.Get", `{"filename":"der.key"}`, `"result":{"data":"` + b64("\x30\x00") + `","left":0}}`},
			{"Config.Set", `{"key":"mqtt.ssl_key","value":"/der.key"}`, `"result":{"saved":false}}`},
			{"FS.Get", `{"filename":"der.key"}`, `"error":{"code":403,"message":"private keys are not handed out"}}`},

			{"Wifi.Scan", ``, `"result":[{"ssid":"a\"b","bssid":"01:02:03:04:05:06","auth":3,"channel":6,"rssi":-40}]}`},
			{"Wifi.SetupSTA", `{"enable":true,"ssid":"a\"b","pass":"12345678"}`, `"result":null}`},
			{"Wifi.SetupSTA", `{"enable":true,"ssid":""}`, `"error":{"code":-1,"message":"mgos_wifi_setup_sta failed: `},
			{"Wifi.SetupSTA", `{"enable":true,"ssid":"x","ip":"y"}`, `"error":{"code":400,"message":"ip is not an IP address"}}`},
			{"Wifi.SetupSTA", `{"enable":1}`, `"error":{"code":400,"message":"enable must be true or false"}}`},
			{"Wifi.SetupAP", `{"enable":true,"ssid":"me","pass":"12345678","channel":6,"ip":"192.168.4.1","netmask":"255.255.255.0","dhcp_start":"192.168.4.2","dhcp_end":"192.168.4.9"}`, `"result":null}`},
			{"Wifi.SetupAP", `{"enable":true,"ssid":"me","ip":"192.168.4.1"}`, `"error":{"code":-1,"message":"mgos_wifi_setup_ap failed: `},

			{"RPC.Describe", `{"name":"Config.Save"}`, `"result":{"name":"Config.Save","args_fmt":"{try_once: %B, reboot: %B}"}}`},
			{"RPC.Describe", `{"name":"Nope"}`, `"error":{"code":404,"message":"name not found"}}`},
			{"RPC.Describe", ``, `"error":{"code":400,"message":"name is required"}}`},
			{"RPC.Ping", ``, `"result":{"channel_info":"127.0.0.1:4711"}}`},
			{"Sys.SetDebug", `{"level":4}`, `"result":null}`},
			{"Sys.SetDebug", `{"udp_log_addr":"x:1"}`, `"result":null}`},
			{"Sys.SetDebug", `{"level":5}`, `"error":{"code":400,"message":"level must be 0 to 4"}}`},
			{"Sys.Reboot", `{"delay_ms":-1}`, `"error":{"code":400,"message":"invalid delay value"}}`},
			{"Sys.GetInfo", ``, `"result":{"id":"ccm_A1B2C3","app":"ccm","fw_version":"1.0","fw_id":"unknown","mg_version":"1.0","mg_id":"unknown","mac":"A0B1C2A1B2C3",`},
		} {
			params := ""
			if c.params != "" {
				params = `,"params":` + c.params
			}
			frame := fmt.Sprintf(`{"id":1,"method":"%s"%s}`, c.method, params)
			if got, want := m.ask(t, &local, frame), `{"id":1,"src":"ccm_A1B2C3",`+c.want; !strings.HasPrefix(got, want) {
				t.Errorf("%s\nanswered %s\nwant     %s", frame, got, want)
			}
			time.Sleep(10 * time.Second) // no limit of saves is met
		}
		if st := m.net.Stations(); len(st) != 1 || st[0].Password != "12345678" {
			t.Errorf("%+v", st)
		}
	})
}

// TestGetInfoNetwork: Sys.GetInfo tells the state of the network.
func TestGetInfoNetwork(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		m.net.SetAccessPoints(wifi.FakeAccessPoint{AccessPoint: wifi.AccessPoint{SSID: "net"}})
		m.net.SetEthernet(netip.MustParseAddr("192.0.2.99"))
		if err := m.net.SetStation(t.Context(), wifi.Station{Enable: true, SSID: "net"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got := m.ask(t, &local, `{"id":1,"method":"Sys.GetInfo"}`)
		for _, want := range []string{`"wifi":{"sta_ip":"192.0.2.18","ap_ip":"","status":"got ip","ssid":"net"}`, `"eth":{"ip":"192.0.2.99"}`, `"at_rest":"plain"`, `"fs_size":4194304`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s is not in %s", want, got)
			}
		}
	})
}

// TestSaves: ten saves a minute, whoever asks.
func TestSaves(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		for i := range 12 {
			frame := `{"id":1,"method":"Config.Save"}`
			if i%2 == 0 {
				frame = fmt.Sprintf(`{"id":1,"method":"Config.Set","params":{"key":"debug.level","value":%d,"save":true}}`, i%4)
			}
			if code := errorCode(m.ask(t, &local, frame)); code != map[bool]int{true: 0, false: 429}[i < 10] {
				t.Errorf("save %d: %d", i, code)
			}
		}
		if m.store.Int("debug.level") != 0 { // that of i = 8; what was not saved was not set
			t.Errorf("debug.level is %d", m.store.Int("debug.level"))
		}
		time.Sleep(time.Minute)
		if code := errorCode(m.ask(t, &local, `{"id":1,"method":"Config.Save"}`)); code != 0 {
			t.Errorf("a minute later: %d", code)
		}
	})
}

// TestReboot: when it comes, and when not.
func TestReboot(t *testing.T) {
	for _, c := range []struct {
		frames string
		after  time.Duration // 0 = never
	}{
		{`{"id":1,"method":"Sys.Reboot"}`, 100 * time.Millisecond},
		{`{"id":1,"method":"Sys.Reboot","params":{"delay_ms":2000}}`, 2 * time.Second},
		{`{"id":1,"method":"Sys.Reboot","params":{"delay_ms":0}}`, 100 * time.Millisecond},
		{`{"method":"Sys.Reboot"}`, 100 * time.Millisecond},
		{`{"id":1,"method":"Sys.Reboot","params":{"delay_ms":2000}}` + "\n" + `{"id":2,"method":"Sys.Reboot","params":{"abort":true}}`, 0},
		{`{"id":1,"method":"Sys.Reboot","params":{"delay_ms":9000}}` + "\n" + `{"id":2,"method":"Sys.Reboot"}`, 100 * time.Millisecond},
		{`{"id":1,"method":"Sys.Reboot","params":{"abort":true}}`, 0},
		{`{"id":1,"method":"Config.Set","params":{"config":{},"save":true,"reboot":true}}`, 500 * time.Millisecond},
		{`{"id":1,"method":"Config.Set","params":{"config":{},"reboot":true}}`, 0},
		{`{"id":1,"method":"Config.Set","params":{"key":"no.such","value":1,"save":true,"reboot":true}}`, 0},
		{`{"id":1,"method":"Config.Save","params":{"reboot":true}}`, 500 * time.Millisecond},
		{`{"id":1,"method":"Config.Save"}`, 0},
	} {
		inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
			begin := time.Now()
			for frame := range strings.SplitSeq(c.frames, "\n") {
				m.ask(t, &local, frame)
			}
			for time.Since(begin) < time.Minute && m.reboots.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			took := time.Since(begin)
			time.Sleep(time.Minute)
			switch n := m.reboots.Load(); {
			case c.after == 0 && n != 0, c.after != 0 && (n != 1 || took < c.after || took > c.after+10*time.Millisecond):
				t.Errorf("%s: %d reboots after %v", c.frames, n, took)
			}
		})
	}
}

// TestReplyBeforeReboot: a reply that is still being written holds the reboot up, but
// not for ever.
func TestReplyBeforeReboot(t *testing.T) {
	for _, c := range []struct{ write, want time.Duration }{{time.Second, time.Second}, {time.Hour, 2100 * time.Millisecond}} {
		inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
			begin := time.Now()
			call := m.module.Service().Accept(&local, []byte(`{"id":1,"method":"Sys.Reboot"}`))
			done := make(chan struct{})
			go func() {
				defer close(done)
				call.Serve(m.ctx, func([]byte) error {
					time.Sleep(c.write)
					return nil
				})
			}()
			for m.reboots.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			if took := time.Since(begin); took < c.want || took > c.want+10*time.Millisecond {
				t.Errorf("rebooted after %v, want %v", took, c.want)
			}
			<-done
		})
	}
}

// TestNothingToManage: a module without these things has no methods for them.
func TestNothingToManage(t *testing.T) {
	m, err := ccm.New(ccm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"Config.Get", "FS.List", "Wifi.Scan", "Sys.Reboot", "Sys.SetDebug"} {
		c := m.Service().Accept(&access.Origin{Role: access.Vendor}, []byte(`{"id":1,"method":"`+method+`"}`))
		if !c.Ready() || c.Code() != 404 {
			t.Errorf("%s: %d", method, c.Code())
		}
	}
}

// TestAllow: what the program has registered is open to the network when it says so.
func TestAllow(t *testing.T) {
	o := managedConfig{module: func(c *ccm.Config) {
		c.Management.Access.Allow = []access.Entry{{Method: "Led.*", Roles: []access.Role{access.LAN}}}
	}}
	inBubble(t, o, func(t *testing.T, m *managed, h *hand) {
		yes := func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Result([]byte("1")) }
		m.module.HandleFunc("Led.Set", yes)
		m.module.HandleFunc("Own.Set", yes)
		for method, want := range map[string]int{"Led.Set": 0, "Own.Set": 403} {
			if code := errorCode(m.ask(t, &local, `{"id":1,"method":"`+method+`"}`)); code != want {
				t.Errorf("%s: %d", method, code)
			}
		}
	})
}

// TestFilesFull: the bounds of the files are errors for the caller.
func TestFilesFull(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		for i := range files.MaxFiles {
			if err := m.files.Put(fmt.Sprint("f", i), nil, files.PutMode{}); err != nil {
				t.Fatal(err)
			}
		}
		if code := errorCode(m.ask(t, &local, `{"id":1,"method":"FS.Put","params":{"filename":"x","data":""}}`)); code != 413 {
			t.Errorf("%d", code)
		}
	})
}

// TestDoorsConfigured: what the configuration says of the doors.
func TestDoorsConfigured(t *testing.T) {
	for _, c := range []struct {
		tree     string
		frame    int
		cloudRPC bool
	}{
		{`{}`, 4096, true},
		{`{"rpc":{"max_frame_size":8192,"mqtt":{"enable":false}}}`, 8192, false},
		{`{"rpc":{"max_frame_size":-1}}`, 4096, true},
		{`{"rpc":{"max_frame_size":2000000000}}`, 65536, true},
	} {
		inBubble(t, managedConfig{setup: func(s *config.Store) error { return s.Set(config.Change{Config: []byte(c.tree), Vendor: true}) },
			module: func(cfg *ccm.Config) { cfg.Cloud = &cloud.Config{Servers: []string{"127.0.0.1:1"}} }}, func(t *testing.T, m *managed, _ *hand) {
			if got := m.module.ServesCloud(); got != c.cloudRPC {
				t.Errorf("%s: calls from the cloud are served: %v", c.tree, got)
			}
			if got := m.module.Service().MaxFrame(); got != c.frame {
				t.Errorf("%s: frames of %d bytes", c.tree, got)
			}
		})
	}
}

// TestHostConfig: what a host may do with the configuration that others may not, and
// what not even it may.
func TestHostConfig(t *testing.T) {
	cloudOrigin := access.Origin{Role: access.Cloud, Channel: access.MQTT}
	for _, reveal := range []bool{false, true} {
		inBubble(t, managedConfig{module: func(c *ccm.Config) { c.Management.HostMayReadSecrets = reveal }}, func(t *testing.T, m *managed, h *hand) {
			m.mustSet(t, `{"wifi":{"sta":{"pass":"p4ssw0rd"}}}`)
			want := map[bool]string{false: "********", true: "p4ssw0rd"}[reveal]
			h.asks(`{"id":1,"method":"Config.Get","params":{"key":"wifi.sta.pass"}}`, `{"id":1,"result":"`+want+`"}`)
			if got := m.ask(t, &cloudOrigin, `{"id":1,"method":"Config.Get","params":{"key":"wifi.sta.pass"}}`); !strings.Contains(got, `"********"`) {
				t.Errorf("the cloud reads %s", got)
			}
			h.asks(`{"id":2,"method":"Config.Set","params":{"config":{"debug":{"level":3}},"level":0}}`, `{"id":2,"error":{"code":403,"message":"not allowed to set this level"}}`)
			h.asks(`{"id":3,"method":"Config.Set","params":{"config":{"debug":{"level":3}},"level":5,"save":true}}`, `{"id":3,"result":{"saved":true}}`)
			if code := errorCode(m.ask(t, &cloudOrigin, `{"id":1,"method":"Config.Set","params":{"config":{"debug":{"level":4}},"level":5}}`)); code != 403 {
				t.Errorf("the cloud sets a vendor's layer: %d", code)
			}
		})
	}
}

// TestPutAnew: an offset of 0 begins a file anew, whatever append says; and Sys.GetInfo
// tells how much room is left.
func TestPutAnew(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, _ *hand) {
		for _, params := range []string{`{"filename":"f","data":"aGVsbG8="}`, `{"filename":"f","append":true,"offset":0,"data":"aGk="}`} {
			if code := errorCode(m.ask(t, &local, `{"id":1,"method":"FS.Put","params":`+params+`}`)); code != 0 {
				t.Errorf("%s: %d", params, code)
			}
		}
		if data, err := m.files.Read("f"); string(data) != "hi" || err != nil {
			t.Errorf("%q, %v", data, err)
		}
		if got := m.ask(t, &local, `{"id":1,"method":"Sys.GetInfo"}`); !strings.Contains(got, fmt.Sprintf(`"fs_size":%d,"fs_free":%d,`, files.MaxTotal, files.MaxTotal-2)) {
			t.Errorf("%s", got)
		}
	})
}
