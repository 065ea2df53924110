package ccm

import (
	"cmp"
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
	c := &cloud.Config{
		Servers:           []string{server},
		ClientID:          s.String("mqtt.client_id"),
		Username:          s.String("mqtt.user"),
		Password:          cloud.Secret(s.String("mqtt.pass")),
		PersistentSession: !s.Bool("mqtt.clean_session"),
		KeepAlive:         time.Duration(s.Int("mqtt.keep_alive")) * time.Second,
		BackoffMin:        seconds(s.Double("mqtt.reconnect_timeout_min")),
		BackoffMax:        seconds(max(s.Double("mqtt.reconnect_timeout_min"), s.Double("mqtt.reconnect_timeout_max"))),
		RequireTime:       s.Bool("mqtt.require_time"),
		Logger:            log,
	}
	if c.BackoffMin == 0 && c.BackoffMax > 0 {
		c.BackoffMin = min(cloud.DefaultBackoffMin, c.BackoffMax)
	}
	if topic := s.String("mqtt.will_topic"); topic != "" && cloud.ValidTopic(topic, false) != nil {
		if log != nil {
			log.Warn("no last will: this is no topic", "mqtt.will_topic", topic)
		}
	} else if topic != "" {
		c.Will = &cloud.Message{Topic: topic, Payload: []byte(s.String("mqtt.will_message")), Retain: s.Bool("mqtt.will_retain")}
	}
	if err := tlsFromStore(s, dir, &c.TLS, log); err != nil {
		return nil, err
	}
	if c.Username == "" && c.Password != "" {
		if log != nil {
			log.Warn("a password without a user name is not sent", "key", "mqtt.pass")
		}
		c.Password = ""
	}
	if err := checkCloud(*c); err != nil {
		return nil, fmt.Errorf("ccm: mqtt.*: %w", err)
	}
	return c, nil
}

// checkCloud checks the configuration as the module completes it.
func checkCloud(c cloud.Config) error {
	c.ClientID = cmp.Or(c.ClientID, DefaultID)
	_, err := cloud.New(c)
	return err
}

// maxPause is the longest pause before the connection is tried again.
const maxPause = 24 * time.Hour

// seconds returns a time, at most maxPause.
func seconds(n float64) time.Duration {
	return time.Duration(min(max(n, 0), maxPause.Seconds()) * float64(time.Second))
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

// fileIn returns the path of a file that the configuration names.
func fileIn(dir, name string) string { return filepath.Join(dir, baseName(name)) }

// baseName returns the name of a file that the configuration names, without
// directories.
func baseName(name string) string { return path.Base("/" + strings.ReplaceAll(name, `\`, "/")) }
