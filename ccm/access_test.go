package ccm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// inBubble runs a test with a managed module without doors, whose host is played by
// hand.
func inBubble(t *testing.T, o managedConfig, test func(t *testing.T, m *managed, h *hand)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		also := o.module
		o.noDoors = true
		o.module = func(c *ccm.Config) {
			host := h.config("")
			host.MaxFrame = -1
			c.Hosts = []ccm.HostConfig{host}
			if also != nil {
				also(c)
			}
		}
		m := newManaged(t, o)
		found(t, m.module.Host(""))
		h.got()
		test(t, m, h)
	})
}

// TestP2Matrix: method x channel x window x login, for every method of the module
// and its host. What is not on a list is refused, and a method that was just added
// too.
func TestP2Matrix(t *testing.T) {
	inBubble(t, managedConfig{password: "secret"}, func(t *testing.T, m *managed, h *hand) {
		h.answer(func(line string) (string, bool) {
			id := mjson.Find([]byte(line), "$.id").String()
			return `{"id":` + id + `,"result":"of the host"}`, !strings.Contains(line, `"Sys.I`) && id != ""
		})
		m.module.HandleFunc("Own.New", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Result([]byte("1")) })
		window := []string{"RPC.List", "RPC.Ping", "Sys.GetInfo", "Wifi.Scan", "Config.Get", "Config.Set", "Config.Save"} // security.md 4.2
		all := m.list(t, &access.Origin{Role: access.Vendor})
		if !slices.Contains(all, "Own.New") || !slices.Contains(all, "Config.Set") || !slices.Contains(all, "host/RPC.List") || len(all) < 25 {
			t.Fatalf("RPC.List: %q", all)
		}
		all = append(all, "Sum", "host/Sum", "OTA.Update", "Config.Factory", "config.set", "Config.Set ", "Config.*", "*", "")
		for _, c := range []struct {
			name   string
			origin access.Origin
			want   func(method string, open bool) int // 0 = not refused
		}{
			{"ap", access.Origin{Role: access.User, Channel: access.HTTP}, func(method string, open bool) int {
				if open && slices.Contains(window, method) {
					return 0
				}
				return 403
			}},
			{"ble", access.Origin{Role: access.User, Channel: access.GATTS, User: "admin"}, func(method string, open bool) int {
				if open && slices.Contains(window, method) {
					return 0
				}
				return 403
			}},
			{"http", access.Origin{Role: access.LAN, Channel: access.HTTP, Remote: "192.0.2.7:1"}, func(string, bool) int { return 401 }},
			{"ws, on this machine", access.Origin{Role: access.LAN, Channel: access.WSIn, Remote: "127.0.0.1:1"}, func(string, bool) int { return 401 }},
			{"udp, logged in", access.Origin{Role: access.LAN, Channel: access.UDPIn, Remote: "192.0.2.7:1", User: "admin"}, func(method string, _ bool) int {
				if method == "Own.New" {
					return 403
				}
				return 0
			}},
			{"cloud", access.Origin{Role: access.Cloud, Channel: access.MQTT}, func(string, bool) int { return 0 }},
			{"mos on a serial line", access.Origin{Role: access.Host, Channel: access.UART}, func(string, bool) int { return 0 }},
			{"nobody", access.Origin{Channel: access.HTTP, User: "admin"}, func(string, bool) int { return 403 }},
		} {
			for _, open := range []bool{false, true} {
				m.window.Store(open)
				listed := m.list(t, &c.origin)
				for i, method := range all {
					o := c.origin
					if o.Role == access.User {
						o.Remote = fmt.Sprintf("192.168.4.%d:1", i) // each below the limit
					}
					reply := m.ask(t, &o, fmt.Sprintf(`{"id":1,"method":%s,"params":{"key":"device.id"}}`, mjson.AppendQuote(nil, method)))
					code, want := errorCode(reply), c.want(method, open)
					if refused := code == 401 || code == 403; refused != (want != 0) || refused && code != want {
						t.Errorf("%s, window %v: %q: %s", c.name, open, method, reply)
					}
					if o.Role == access.User && slices.Contains(listed, method) != (want == 0) && method != "Wifi.Scan" {
						t.Errorf("%s, window %v: %q is listed: %v", c.name, open, method, slices.Contains(listed, method))
					}
				}
			}
		}
	})
}

// list returns the methods that RPC.List tells somebody.
func (m *managed) list(t *testing.T, o *access.Origin) (names []string) {
	t.Helper()
	own := *o
	if own.Role == access.User {
		own.Remote = "192.168.4.250:1"
	}
	reply := m.ask(t, &own, `{"id":1,"method":"RPC.List"}`)
	var r struct{ Result []string }
	if err := json.Unmarshal([]byte(reply), &r); err != nil {
		t.Fatal(err)
	}
	return r.Result
}

// TestP1Forms: what an end user may not set is refused in every form of the request.
func TestP1Forms(t *testing.T) {
	m := newManaged(t, managedConfig{})
	m.window.Store(true)
	before := m.snapshot(t)
	for _, c := range []struct{ path, body string }{
		{"/rpc", `{"id":1,"method":"Config.Set","params":{"config":{"mqtt":{"server":"e"}}}}`},
		{"/rpc", `{"id":1,"method":"Config.Set","params":{"key":"mqtt.server","value":"e"}}`},
		{"/rpc", `{"id":1,"method":"Config.Set","params":{"key":"mqtt","value":{"server":"e"}}}`},
		{"/rpc", `{"id":1,"method":"Config.Set","params":{"key":"conf_acl","value":"*"}}`},
		{"/rpc", `{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"sta":{"ssid":"n"}},"mqtt":{"server":"e"}}}}`},
		{"/rpc", `{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"sta":{"ssid":"n"}}},"level":5}}`},
		{"/rpc", `{"id":1,"method":"Config.Set","args":{"config":{"mqtt":{"server":"e"}}}}`},
		{"/rpc/Config.Set", `{"config":{"mqtt":{"server":"e"}}}`},
		{"/rpc/Config.Set", `{"key":"mqtt.server","value":"e"}`},
		{"/rpc", `{"config":{"mqtt":{"server":"e"}}}`},
		{"/rpc", `{"config":{"wifi":{"sta":{"ssid":"n"},"ap":{"enable":false}}}}`},
		{"/rpc/Config.Get", `{}`}, {"/rpc/Config.Get", `{"key":"mqtt"}`}, {"/rpc/Config.Get", `{"key":"wifi"}`}, {"/rpc/Config.Get", `{"key":"wifi.sta","level":0}`},
	} {
		status, text := post(t, m.ap, c.path, c.body, nil)
		if code := errorCode(text); code != 403 && status != 403 {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, text)
		}
		time.Sleep(120 * time.Millisecond) // below the limit of ten a second
	}
	if now := m.snapshot(t); now != before {
		t.Errorf("was %s\nis  %s", before, now)
	}
}

// TestManualForm: the access point form of the CCM manual is Config.Set, Config.Save
// and a reboot.
func TestManualForm(t *testing.T) {
	m := newManaged(t, managedConfig{})
	m.window.Store(true)
	status, text := post(t, m.ap, "/rpc", `{"config":{"wifi":{"sta":{"enable":true,"ssid":"MyNet","pass":"p@ss w0rd"}}}}`, nil)
	if status != http.StatusOK || !strings.Contains(text, `"saved":true`) {
		t.Errorf("%d %s", status, text)
	}
	eventually(t, "the reboot", func() bool { return m.reboots.Load() == 1 })
	if m.store.String("wifi.sta.ssid") != "MyNet" || !strings.Contains(m.snapshot(t), "conf9.json{") {
		t.Error("nothing is stored")
	}
	if status, text := post(t, m.web, "/rpc", `{"config":{"wifi":{"sta":{"ssid":"x"}}}}`, nil); status == http.StatusOK {
		t.Errorf("on the network: %d %s", status, text)
	}
}

// TestP5Origins: pages of others cannot use the doors.
func TestP5Origins(t *testing.T) {
	m := newManaged(t, managedConfig{})
	before := m.snapshot(t)
	const body = `{"config":{"debug":{"level":4}},"save":true}`
	for name, h := range map[string]http.Header{
		"cross origin":  {"Origin": {"http://evil.example"}},
		"null":          {"Origin": {"null"}},
		"DNS rebinding": {"Host": {"evil.example"}},
		"with its own":  {"Host": {"evil.example"}, "Origin": {"http://evil.example"}},
		"plain text":    {"Origin": {"http://" + m.web}, "Content-Type": {"text/plain"}},
		"mos's, not ws": {"Origin": {"https://api.cesanta.com"}},
		"form":          {"Origin": {"http://evil.example"}, "Content-Type": {"application/x-www-form-urlencoded"}},
		"other port":    {"Origin": {"http://127.0.0.1:1"}},
	} {
		if status, text := post(t, m.web, "/rpc/Config.Set", body, h); status != http.StatusForbidden && status != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	for _, path := range []string{"/rpc/Config.Set?config={}", "/rpc/Sys.Reboot", "/rpc/Config.Save", "/rpc/FS.Remove?filename=\"x\"", "/rpc"} {
		r, err := http.Get("http://" + m.web + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, r.StatusCode)
		}
	}
	if now := m.snapshot(t); now != before || m.reboots.Load() != 0 {
		t.Errorf("was %s\nis  %s", before, now)
	}
}

// post sends a POST request, with application/json unless h has another type.
func post(t *testing.T, address, path, body string, h http.Header) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for key, values := range h {
		r.Header[key] = values
	}
	if host := h.Get("Host"); host != "" {
		r.Host = host
	}
	r.Close = true
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(data)
}

// TestHostRules: rpc.acl binds hosts too, and nothing gets around it.
func TestHostRules(t *testing.T) {
	inBubble(t, managedConfig{}, func(t *testing.T, m *managed, h *hand) {
		m.mustSet(t, `{"rpc":{"acl":"[{\"ch_type\":\"UART\",\"method\":\"Sys.*\",\"acl\":\"*\"}]"}}`)
		h.asks(`{"id":1,"method":"Sys.Info"}`, `{"id":1,"result":{"fw_version":"1.0","arch":"`+runtime.GOOS+"/"+runtime.GOARCH+`","fw_id":"unknown","app":"ccm"}}`)
		h.asks(`{"id":2,"method":"Config.Get","params":{"key":"debug.level"}}`, `{"id":2,"error":{"code":403,"message":"unauthorized"}}`)
		h.asks(`{"id":3,"method":"RPC.List"}`, `{"id":3,"error":{"code":403,"message":"unauthorized"}}`)
		h.send(`{"method":"Config.Set","params":{"key":"debug.level","value":4}}` + "\n")
		h.want("a notification")
		if m.store.Int("debug.level") == 4 {
			t.Error("a notification got around the rules")
		}
		m.mustSet(t, `{"rpc":{"acl":"nonsense"}}`)
		h.asks(`{"id":4,"method":"Config.Get","params":{"key":"debug.level"}}`, `{"id":4,"result":2}`)
		if code := errorCode(m.ask(t, &access.Origin{Role: access.Cloud, Channel: access.MQTT}, `{"id":1,"method":"RPC.Ping"}`)); code != 403 {
			t.Errorf("the cloud: %d", code)
		}
	})
}
