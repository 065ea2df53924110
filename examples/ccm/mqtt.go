package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/spf13/cobra"
)

// passwordEnv is the variable that may hold the password for the broker.
const passwordEnv = "CCM_MQTT_PASSWORD"

// maxPassword is the longest password file.
const maxPassword = 64 << 10

// mqttFlags are the flags that say how to reach a broker, beside its URL.
type mqttFlags struct {
	user, passFile, ca, cert, key string
	inClear                       bool
}

// add adds the flags to a command.
func (f *mqttFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.user, "mqtt-user", "", "user `name` for the broker")
	cmd.Flags().StringVar(&f.passFile, "mqtt-pass-file", "", "`file` with the password; else "+passwordEnv+" is looked at")
	cmd.Flags().BoolVar(&f.inClear, "mqtt-pass-in-clear", false, "send the password without TLS, also to another machine")
	cmd.Flags().StringVar(&f.ca, "ca", "", "PEM `file` of the CAs to trust, instead of the system's")
	cmd.Flags().StringVar(&f.cert, "cert", "", "PEM `file` of our certificate")
	cmd.Flags().StringVar(&f.key, "key", "", "PEM `file` of its key")
}

// config makes the configuration of a connection to the broker at a URL, which
// may have a device as its path. flag names the URL in errors.
func (f *mqttFlags) config(cmd *cobra.Command, flag, text string) (cfg cloud.Config, device string, err error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return cfg, "", usage(cmd, "%s: want mqtt://HOST[:PORT] or mqtts://HOST[:PORT]", flag)
	case u.Scheme != "mqtt" && u.Scheme != "mqtts":
		return cfg, "", usage(cmd, "%s: unknown scheme %q; use mqtt or mqtts", flag, u.Scheme)
	}
	cfg = cloud.Config{
		Servers:               []string{u.Scheme + "://" + u.Host},
		Username:              f.user,
		AllowPlainCredentials: f.inClear,
		TLS:                   cloud.TLSConfig{CAFile: f.ca, CertFile: f.cert, KeyFile: f.key},
	}
	if err := f.credentials(&cfg, u.User); err != nil {
		return cfg, "", err
	}
	if _, err := cloud.New(cfg); err != nil {
		return cfg, "", usage(cmd, "%s", flagNames(flag).Replace(err.Error()))
	}
	if err := cfg.TLS.Check(); err != nil {
		return cfg, "", fmt.Errorf("--ca, --cert, --key: %s", flagNames(flag).Replace(err.Error()))
	}
	return cfg, strings.Trim(u.Path, "/"), nil
}

// trust returns how servers over TLS are trusted, and our own certificate: for the
// doors that are no brokers.
func (f *mqttFlags) trust() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		text, err := readSmall(f.ca, maxCAs)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca: %s: no certificate in it", f.ca)
		}
	}
	switch {
	case f.cert != "" && f.key != "":
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("--cert, --key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	case f.cert != "" || f.key != "":
		return nil, errors.New("--cert and --key go together")
	}
	return c, nil
}

// maxCAs is the longest file of CAs.
const maxCAs = 256 << 10

// flagNames replaces names of the configuration by those of the flags they were
// set with.
func flagNames(flag string) *strings.Replacer {
	return strings.NewReplacer(
		"cloud: Config.Servers[0]", flag, "cloud: Config.Username, Password", "--mqtt-user and password",
		"TLS.CAFile", "--ca", "TLS.CertFile", "--cert", "TLS.KeyFile", "--key",
		"credentials are not sent without TLS", "credentials are not sent without TLS; use mqtts:// or --mqtt-pass-in-clear",
		"cloud: Config.TLS", "--ca, --cert and --key", "cloud: Config.", "", "cloud: ", "",
	)
}

// credentials sets user and password, from the flags, the environment or the URL.
func (f *mqttFlags) credentials(cfg *cloud.Config, info *url.Userinfo) error {
	if cfg.Username == "" {
		cfg.Username = info.Username()
	}
	switch password, inURL := info.Password(); {
	case f.passFile != "":
		text, err := readSmall(f.passFile, maxPassword)
		if err != nil {
			return fmt.Errorf("--mqtt-pass-file: %w", err)
		}
		cfg.Password = cloud.Secret(bytes.TrimRight(text, "\r\n"))
	case inURL:
		cfg.Password = cloud.Secret(password)
	case cfg.Username != "":
		cfg.Password = cloud.Secret(os.Getenv(passwordEnv))
	}
	return nil
}

// readSmall reads a file of at most limit bytes.
func readSmall(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f, name, limit)
}

// readLimited reads at most limit bytes.
func readLimited(r io.Reader, name string, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return text, err
}

// session is a connection to a broker for as long as a command takes.
type session struct {
	*cloud.Conn
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// brokerHints are what the user can do about a connection that failed.
var brokerHints = map[cloud.Reason]string{
	cloud.ReasonPlainCredentials: "use mqtts:// or --mqtt-pass-in-clear",
	cloud.ReasonTLSUnknownCA:     "--ca names the CA to trust",
	cloud.ReasonBadCredentials:   "look at --mqtt-user and the password",
	cloud.ReasonNotAuthorized:    "look at --mqtt-user and the password",
}

// join connects to a broker and subscribes. Unlike a module, it gives up when the
// first attempt fails. later is told of changes after that; it may be nil.
func join(ctx context.Context, cfg cloud.Config, later func(cloud.Status), filters ...string) (*session, error) {
	first := make(chan cloud.Status, 1)
	joined := false // belongs to the goroutine of Run
	cfg.OnStatus = func(s cloud.Status) {
		if !joined {
			joined = true
			first <- s
		} else if later != nil {
			later(s)
		}
	}
	conn, err := cloud.New(cfg)
	if err != nil {
		return nil, err
	}
	for _, f := range filters {
		if err := conn.Subscribe(ctx, cloud.Subscription{Filter: f, QoS: 1}); !errors.Is(err, cloud.ErrOffline) {
			return nil, fmt.Errorf("subscribe to %q: %w", f, err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &session{Conn: conn, cancel: cancel}
	s.ended.Go(func() { conn.Run(ctx) })
	status := <-first // there is one at the latest when ctx ends
	switch {
	case len(status.Refused) > 0:
		err = fmt.Errorf("%s refuses the subscription to %s", status.Server, strings.Join(status.Refused, " and "))
	case !status.Connected && ctx.Err() != nil:
		err = context.Cause(ctx)
	case !status.Connected:
		err = status.Err
		if hint := brokerHints[status.Reason]; hint != "" {
			err = fmt.Errorf("%w (%s)", err, hint)
		}
	default:
		return s, nil
	}
	s.leave()
	return nil, err
}

// leave disconnects.
func (s *session) leave() {
	s.cancel()
	s.ended.Wait()
}
