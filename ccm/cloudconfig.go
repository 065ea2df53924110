package ccm

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/config"
)

// CloudFromStore makes the configuration of the connection from mqtt.* of the
// device's configuration, as the mos tool sets it. dir is where the files are that
// it names. It returns nil if mqtt.enable is false.
//
// TLS is on if one of mqtt.ssl_ca_cert and mqtt.ssl_cert is set. A file of CAs that
// is not there stands for the system's CAs, which the log tells (rulings D3).
// Whether key and certificate fit is found out when connecting.
func CloudFromStore(s *config.Store, dir string, log *slog.Logger) (*cloud.Config, error) {
	if !s.Bool("mqtt.enable") {
		return nil, nil
	}
	server := s.String("mqtt.server")
	if server == "" {
		return nil, errors.New("ccm: mqtt.enable is set, mqtt.server is not")
	}
	seconds := func(key string) time.Duration { return time.Duration(s.Double(key) * float64(time.Second)) }
	c := &cloud.Config{
		Servers:           []string{server},
		ClientID:          s.String("mqtt.client_id"),
		Username:          s.String("mqtt.user"),
		Password:          cloud.Secret(s.String("mqtt.pass")),
		PersistentSession: !s.Bool("mqtt.clean_session"),
		KeepAlive:         time.Duration(s.Int("mqtt.keep_alive")) * time.Second,
		BackoffMin:        seconds("mqtt.reconnect_timeout_min"),
		BackoffMax:        seconds("mqtt.reconnect_timeout_max"),
		RequireTime:       s.Bool("mqtt.require_time"),
		Logger:            log,
	}
	if topic := s.String("mqtt.will_topic"); topic != "" {
		c.Will = &cloud.Message{Topic: topic, Payload: []byte(s.String("mqtt.will_message")), Retain: s.Bool("mqtt.will_retain")}
	}
	if err := tlsFromStore(s, dir, &c.TLS, log); err != nil {
		return nil, err
	}
	if _, err := cloud.New(*c); err != nil {
		return nil, fmt.Errorf("ccm: mqtt.*: %w", err)
	}
	return c, nil
}

// tlsFromStore reads mqtt.ssl_*.
func tlsFromStore(s *config.Store, dir string, t *cloud.TLSConfig, log *slog.Logger) error {
	ca, cert, key := s.String("mqtt.ssl_ca_cert"), s.String("mqtt.ssl_cert"), s.String("mqtt.ssl_key")
	t.Enable = ca != "" || cert != ""
	if ca == "*" {
		return errors.New("ccm: mqtt.ssl_ca_cert: servers are always verified, * is refused")
	}
	if ca != "" {
		t.CAFile = fileIn(dir, ca)
		if _, err := os.Stat(t.CAFile); errors.Is(err, fs.ErrNotExist) {
			if log != nil {
				log.Warn("no such file of CAs: those of the system are trusted", "mqtt.ssl_ca_cert", ca)
			}
			t.CAFile = ""
		}
	}
	if cert != "" {
		t.CertFile, t.KeyFile = fileIn(dir, cert), fileIn(dir, key)
	}
	return nil
}

// fileIn returns the path of a file that the configuration names: a name without
// directories.
func fileIn(dir, name string) string {
	return filepath.Join(dir, path.Base("/"+strings.ReplaceAll(name, `\`, "/")))
}
