package ccm_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/ccm/wifi"
)

// canary is a part of every secret in TestE1Canaries.
const canary = "c4n4ry"

// TestE1Canaries: secrets go in by every door and are used, and appear nowhere: in no
// reply, log, status, file (there is a root key) or dump of a public value.
func TestE1Canaries(t *testing.T) {
	log := new(logbook)
	b := newBroker(t, ccmtest.BrokerOptions{})
	var cfg ccm.Config
	key := filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newManaged(t, managedConfig{password: canary + "-admin", rootKey: config.KeyFile(key), log: log, module: func(c *ccm.Config) {
		c.Logger = log.logger()
		c.Cloud = via(b)
		c.Cloud.Username, c.Cloud.Password = "u", canary+"-broker"
		c.Cloud.AllowPlainCredentials = true
		cfg = *c
	}})
	m.online()
	m.window.Store(true)
	var seen []string // what came back
	over := func(password, frame string) {
		seen = append(seen, overHTTP(t, m.web, password, frame))
	}
	right := canary + "-admin"
	for i, key := range []string{"wifi.sta.pass", "wifi.ap.pass", "wifi.sta1.key", "mqtt.pass", "mqtt1.ssl_psk_key", "dash.token", "azure.cs",
		"device.license", "watson.token", "update.extra_http_headers", "http.auth_file"} {
		over(right, fmt.Sprintf(`{"id":1,"method":"Config.Set","params":{"key":"%s","value":"%s-%d"}}`, key, canary, i))
		over(right, fmt.Sprintf(`{"id":1,"method":"Config.Get","params":{"key":"%s"}}`, key))
	}
	for _, frame := range []string{
		`{"id":1,"method":"Config.Save"}`,
		`{"id":1,"method":"Config.Get"}`,
		`{"id":1,"method":"Config.Get","params":{"level":9}}`,
		`{"id":1,"method":"Sys.GetInfo"}`,
		`{"id":1,"method":"RPC.List"}`,
		`{"id":1,"method":"FS.ListExt"}`,
		`{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"sta":{"pass":{"x":"c4n4ry"}}}}}}`,
		`{"id":1,"method":"Config.Set","params":{"config":{"dash":{"token":["c4n4ry"]}}}}`,
		`{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"sta":{"enable":true,"ssid":"x","pass":"c4n4ry"}}},"save":true}}`,
		`{"id":1,"method":"Config.Set","params":{"key":"mqtt.pass","value":"` + strings.Repeat(canary, 500) + `"}}`,
		`{"id":1,"method":"Config.Set","params":{"config":{"mqtt":{"pass":"c4n4ry","pass":"c4n4ry"}}}}`,
		`{"id":1,"method":"Config.Set","params":{"config":{"debug":{"level":"c4n4ry"}}}}`,
		`{"id":1,"method":"Wifi.SetupSTA","params":{"enable":true,"ssid":"net","pass":"c4n4ry-wifi"}}`,
		`{"id":1,"method":"Wifi.SetupSTA","params":{"enable":true,"ssid":"","pass":"c4n4ry-wifi"}}`,
		`{"id":1,"method":"Wifi.SetupSTA","params":{"enable":true,"ssid":"net","pass":["c4n4ry-wifi"]}}`,
	} {
		over(right, frame)
	}
	m.wrongLogins(t)
	status, text := post(t, m.ap, "/rpc", `{"config":{"wifi":{"sta":{"enable":true,"ssid":"n","pass":"c4n4ry-ap"}}}}`, nil)
	if seen = append(seen, text); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	for _, o := range []access.Origin{{Role: access.Host, Channel: access.UART}, {Role: access.Cloud, Channel: access.MQTT}} {
		seen = append(seen, m.ask(t, &o, `{"id":1,"method":"Config.Get"}`))
	}
	cfg.Management.Access.Login = access.NewLogin(access.LoginConfig{})
	for name, v := range map[string]any{
		"Config": cfg, "Management": cfg.Management, "Store": m.store, "View": m.store.View(), "Status": m.store.Status(), "Module.Status": m.module.Status(),
		"Module.Stats": m.module.Stats(), "Service.Stats": m.module.Service().Stats(), "cloud.Config": cfg.Cloud, "files": m.files,
		"Station": m.net.Stations(), "wifi": m.net.Status(), "problems": m.store.Problems(),
		"Change":      config.Change{Key: "mqtt.pass", Value: []byte(`"c4n4ry"`)},
		"AP":          wifi.AP{Password: canary},
		"Credentials": cloud.Config{Password: canary},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, canary) {
				t.Errorf("%s of %s shows a secret", verb, name)
			}
		}
	}
	for _, text := range seen {
		if strings.Contains(text, canary) {
			t.Errorf("answered %s", text)
		}
	}
	if n := log.count(canary); n != 0 {
		log.mu.Lock()
		defer log.mu.Unlock()
		for _, r := range log.records {
			if strings.Contains(r, canary) {
				t.Errorf("logged %s", r)
			}
		}
	}
	if text := m.snapshotFiles(t); strings.Contains(text, canary) || !strings.Contains(text, "$enc1$") {
		t.Errorf("the files have %s", text)
	}
}

// wrongLogins tries passwords that are secrets of others.
func (m *managed) wrongLogins(t *testing.T) {
	t.Helper()
	c := dialSocket(t, m.web)
	defer c.CloseNow()
	reply := overSocket(t, c, `{"id":1,"method":"RPC.Ping"}`)
	auth, err := access.AnswerFrame(textAt([]byte(reply), "$.error.message"), "admin", canary+"-wrong")
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range []string{
		`{"id":1,"method":"RPC.Ping","auth":` + string(auth) + `}`,
		`{"id":1,"method":"RPC.Ping","auth":{"username":"` + canary + `"}}`,
	} {
		if reply := overSocket(t, c, frame); errorCode(reply) == 0 || strings.Contains(reply, canary) {
			t.Errorf("answered %s", reply)
		}
	}
}

// snapshotFiles returns the content of the files of the configuration.
func (m *managed) snapshotFiles(t *testing.T) (text string) {
	all, err := filepath.Glob(filepath.Join(m.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		data, _ := os.ReadFile(name)
		text += name + "\n" + string(data) + "\n"
	}
	return text
}
