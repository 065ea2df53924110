package cloud

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// visit makes one connection to a server and serves it until it ends.
func (c *Conn) visit(ctx context.Context, s server) (e ending) {
	c.stats.attempts.Add(1)
	l, failed := c.connect(ctx, s)
	if failed == nil {
		begun := time.Now()
		failed = c.use(ctx, l)
		e.up = max(time.Since(begun), 1)
	}
	if failed.Reason == ReasonPacket {
		c.stats.badPackets.Add(1)
	}
	e.err = failed
	return e
}

// use serves a connection until it or ctx ends.
func (c *Conn) use(ctx context.Context, l *link) *Error {
	c.stats.connects.Add(1)
	stop := context.AfterFunc(ctx, func() { l.grace.Store(time.AfterFunc(leaveTimeout, l.stop)) })
	c.mu.Lock()
	c.link = l
	c.mu.Unlock()
	l.serve(ctx)
	c.mu.Lock()
	c.link = nil
	c.mu.Unlock()
	l.leave()
	l.takeAnswer() // it may have come last
	stop()
	if t := l.grace.Load(); t != nil {
		t.Stop()
	}
	failed := l.cause.Load()
	if ctx.Err() == nil {
		c.stats.lost.Add(1)
	} else {
		failed = &Error{Reason: ReasonStopped} // whatever the server did then
	}
	c.settle(l, failed)
	return failed
}

// connect makes a connection up to CONNACK.
func (c *Conn) connect(ctx context.Context, s server) (*link, *Error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	username, password, err := c.creds(ctx)
	if err == nil {
		err = credentialsError(username, password)
	}
	switch {
	case err != nil:
		return nil, &Error{Reason: ReasonConfig, Server: s.address, Err: err}
	case username != "" && c.cfg.inClear(s):
		return nil, &Error{Reason: ReasonPlainCredentials, Server: s.address}
	}
	raw, conn, failed := c.open(ctx, s)
	if failed != nil {
		return nil, failed
	}
	if username != "" && !s.tls && !c.cfg.AllowPlainCredentials && remote(raw) {
		raw.Close()
		return nil, &Error{Reason: ReasonPlainCredentials, Server: s.address}
	}
	if !s.tls && !c.warned {
		c.warned = true
		c.log.Warn("the connection to the cloud is not encrypted", "server", s.address)
	}
	l := newLink(c, s, raw, conn)
	if failed := l.join(ctx, username, password); failed != nil {
		return nil, failed
	}
	return l, nil
}

// open makes the connection below MQTT. raw is the one to close, conn the one
// to talk on.
func (c *Conn) open(ctx context.Context, s server) (raw, conn net.Conn, failed *Error) {
	var settings *tls.Config
	if s.tls {
		var err error
		if settings, err = c.tls.config(s.host); err != nil {
			return nil, nil, &Error{Reason: ReasonConfig, Server: s.address, Err: err}
		}
	}
	raw, err := c.cfg.Dial(ctx, "tcp", s.address)
	if err != nil {
		return nil, nil, &Error{Reason: dialReason(err), Server: s.address, Err: err}
	}
	if !s.tls {
		return raw, raw, nil
	}
	secure := tls.Client(raw, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		reason, err := tlsReason(err, c.clock())
		return nil, nil, &Error{Reason: reason, Server: s.address, Err: err}
	}
	return raw, secure, nil
}

// join sends CONNECT and waits for CONNACK.
func (l *link) join(ctx context.Context, username, password string) *Error {
	late := func() { l.fail(&Error{Reason: ReasonTimeout, Server: l.server.address, Err: errNoAnswer}) }
	stop := context.AfterFunc(ctx, late)
	o := l.options()
	o.CredentialsProvider = func() (string, string) { return username, password }
	l.client = mqtt.NewClient(o)
	token := l.client.Connect()
	<-token.Done()
	username, password = "", "" // the client keeps the function
	inTime := stop()
	switch err := token.Error(); {
	case err != nil:
		l.fail(l.because(err))
	case !inTime:
		late()
		l.leave()
	default:
		if c, is := token.(*mqtt.ConnectToken); is {
			l.sessionPresent = c.SessionPresent()
		}
		return nil
	}
	return l.cause.Load()
}

// options are those of paho: it shall do nothing by itself but ping.
func (l *link) options() *mqtt.ClientOptions {
	cfg := &l.c.cfg
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{{Scheme: "tcp", Host: l.server.address}}
	o.CustomOpenConnectionFn = func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return l, nil }
	o.ClientID = cfg.ClientID
	o.CleanSession = !cfg.PersistentSession
	o.ProtocolVersion = 4
	o.AutoReconnect = false
	o.AutoAckDisabled = true
	o.Store = ledger{l}
	o.DefaultPublishHandler = l.receive
	o.OnConnectionLost = func(_ mqtt.Client, err error) { l.fail(l.because(err)) }
	o.KeepAlive = int64(cfg.KeepAlive / time.Second)
	o.ConnectTimeout = cfg.ConnectTimeout
	o.PingTimeout, o.WriteTimeout = never, never // the link has its own deadlines
	o.HTTPHeaders, o.WebsocketOptions, o.Dialer = nil, nil, nil
	if w := cfg.Will; w != nil {
		o.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	return o
}

// never is longer than any connection.
const never = 1 << 62
