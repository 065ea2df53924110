package ccm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/config"
)

// TestCloudFromStore: what mqtt.* of the configuration makes of a connection.
func TestCloudFromStore(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "my-ca.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(mqtt string) *config.Store {
		s, err := config.Open(t.Context(), config.Options{Dir: t.TempDir()})
		if err == nil {
			err = s.Set(config.Change{Config: []byte(`{"mqtt":` + mqtt + `}`), Vendor: true})
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if c, err := ccm.CloudFromStore(open(`{"server":"broker"}`), dir, nil); c != nil || err != nil {
		t.Errorf("not enabled: %v, %v", c, err)
	}
	log := new(logbook)
	c, err := ccm.CloudFromStore(open(`{"enable":true,"server":"broker:8883","client_id":"c","user":"u","pass":"p","reconnect_timeout_min":0.5,"reconnect_timeout_max":5,
		"ssl_ca_cert":"/my-ca.pem","ssl_cert":"../c.pem","ssl_key":"k.pem","clean_session":false,"keep_alive":30,
		"will_topic":"w","will_message":"gone","will_retain":true,"require_time":true}`), dir, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Servers) != 1 || c.Servers[0] != "broker:8883" || c.ClientID != "c" || c.Username != "u" || string(c.Password) != "p" ||
		c.BackoffMin != 500*time.Millisecond || c.BackoffMax != 5*time.Second || !c.PersistentSession || c.KeepAlive != 30*time.Second || !c.RequireTime {
		t.Errorf("%+v", c)
	}
	if w := c.Will; w == nil || w.Topic != "w" || string(w.Payload) != "gone" || !w.Retain {
		t.Errorf("the will: %+v", w)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	if tls := c.TLS; !tls.Enable || tls.CAFile != in("my-ca.pem") || tls.CertFile != in("c.pem") || tls.KeyFile != in("k.pem") {
		t.Errorf("TLS: %+v", tls)
	}
	if n := log.count("no such file of CAs"); n != 0 {
		t.Error("a file of CAs that is there is missed")
	}
	c, err = ccm.CloudFromStore(open(`{"enable":true,"server":"broker","ssl_ca_cert":"ca.pem"}`), dir, log.logger())
	if err != nil || !c.TLS.Enable || c.TLS.CAFile != "" || log.count("level=WARN", "no such file of CAs", "ca.pem") != 1 {
		t.Errorf("the system's CAs: %+v, %v", c, err)
	}
	c, err = ccm.CloudFromStore(open(`{"enable":true,"server":"broker"}`), dir, nil)
	if err != nil || c.TLS.Enable || c.Will != nil || c.PersistentSession {
		t.Errorf("plain: %+v, %v", c, err)
	}
	for mqtt, want := range map[string]string{
		`{"enable":true,"server":""}`:                                 "mqtt.server is not",
		`{"enable":true,"server":"broker","ssl_ca_cert":"*"}`:         "* is refused",
		`{"enable":true,"server":"gopher://x"}`:                       "mqtt.*: ",
		`{"enable":true,"server":"broker","client_id":"\n"}`:          "mqtt.*: ",
		`{"enable":true,"server":"broker","clean_session":false}`:     "",
		`{"enable":true,"server":"broker","reconnect_timeout_min":0}`: "",
	} {
		_, err := ccm.CloudFromStore(open(mqtt), dir, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", mqtt, err)
		}
	}
}

// TestCloudFromOddValues: values that were saved do not keep the device from the
// broker, through which alone they could be changed.
func TestCloudFromOddValues(t *testing.T) {
	const day = 24 * time.Hour
	for mqtt, want := range map[string][2]time.Duration{
		`"reconnect_timeout_min":90,"reconnect_timeout_max":60`:                   {90 * time.Second, 90 * time.Second},
		`"reconnect_timeout_min":1e10,"reconnect_timeout_max":1e10`:               {day, day},
		`"reconnect_timeout_min":2,"reconnect_timeout_max":1e300`:                 {2 * time.Second, day},
		`"reconnect_timeout_min":0,"reconnect_timeout_max":0.5`:                   {500 * time.Millisecond, 500 * time.Millisecond},
		`"reconnect_timeout_min":0,"reconnect_timeout_max":60,"will_topic":"a/#"`: {2 * time.Second, time.Minute},
		`"reconnect_timeout_min":-5,"reconnect_timeout_max":7`:                    {2 * time.Second, 7 * time.Second},
		`"reconnect_timeout_min":1,"reconnect_timeout_max":2,"pass":"x"`:          {time.Second, 2 * time.Second},
	} {
		s, err := config.Open(t.Context(), config.Options{Dir: t.TempDir()})
		if err == nil {
			err = s.Set(config.Change{Config: []byte(`{"mqtt":{"enable":true,"server":"broker",` + mqtt + `}}`), Vendor: true})
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := ccm.CloudFromStore(s, t.TempDir(), nil)
		if err != nil || [2]time.Duration{c.BackoffMin, c.BackoffMax} != want || c.Password != "" {
			t.Errorf("%s: %+v, %v", mqtt, c, err)
		}
	}
}
