package cloud_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

var errRefused = errors.New("connection refused")

// broker is a broker in process, reached over pipes.
type broker struct {
	*mochi.Server
	hook  *hook
	ends  sync.WaitGroup
	dials atomic.Int64

	mu     sync.Mutex
	down   bool
	conns  []*pipeEnd // the broker's ends
	accept func(net.Conn) net.Conn
}

// newBroker starts a broker. The caller must call close.
func newBroker(t testing.TB) *broker {
	t.Helper()
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumClientWritesPending = 1024
	b := &broker{hook: new(hook)}
	b.Server = mochi.New(&mochi.Options{
		Capabilities: caps, InlineClient: true, SysTopicResendInterval: 1 << 30,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err := b.AddHook(b.hook, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(); err != nil {
		t.Fatal(err)
	}
	return b
}

// dial is a cloud.Config.Dial.
func (b *broker) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	b.dials.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return nil, errRefused
	}
	ours, theirs := pipe()
	b.conns = append(b.conns, theirs)
	var conn net.Conn = theirs
	if b.accept != nil {
		conn = b.accept(conn)
	}
	b.ends.Go(func() { b.EstablishConnection("pipe", conn) })
	return ours, nil
}

// cut breaks all connections.
func (b *broker) cut() {
	b.mu.Lock()
	conns := b.conns
	b.conns = nil
	b.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// stop makes the broker unreachable until start.
func (b *broker) stop() {
	b.mu.Lock()
	b.down = true
	b.mu.Unlock()
	b.cut()
}

func (b *broker) start() {
	b.mu.Lock()
	b.down = false
	b.mu.Unlock()
}

// close ends the broker and its goroutines.
func (b *broker) close() {
	b.stop()
	b.ends.Wait()
	b.Server.Close()
}

// hook decides what clients may do. Fields that are nil allow everything.
type hook struct {
	mochi.HookBase
	mu        sync.Mutex
	connect   func(user, password string) bool
	subscribe func(filter string) bool
	puback    func(id uint16)             // a client has acknowledged
	publish   func(topic, payload string) // of a client
}

func (h *hook) ID() string { return "test" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPacketRead, mochi.OnPublished:
		return true
	}
	return false
}

func (h *hook) set(f func(*hook)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

func (h *hook) OnConnectAuthenticate(_ *mochi.Client, pk packets.Packet) bool {
	h.mu.Lock()
	f := h.connect
	h.mu.Unlock()
	return f == nil || f(string(pk.Connect.Username), string(pk.Connect.Password))
}

func (h *hook) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	h.mu.Lock()
	f := h.subscribe
	h.mu.Unlock()
	return write || f == nil || f(topic)
}

func (h *hook) OnPublished(_ *mochi.Client, pk packets.Packet) {
	h.mu.Lock()
	f := h.publish
	h.mu.Unlock()
	if f != nil {
		f(pk.TopicName, string(pk.Payload))
	}
}

func (h *hook) OnPacketRead(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	h.mu.Lock()
	f := h.puback
	h.mu.Unlock()
	if f != nil && pk.FixedHeader.Type == packets.Puback {
		f(pk.PacketID)
	}
	return pk, nil
}

// runner runs a Conn.
type runner struct {
	*cloud.Conn
	end   context.CancelFunc
	ended chan struct{}
	err   error
}

// run starts a Conn that subscribes to some filters. The waits between attempts are all half of their limit,
// unless the configuration says otherwise.
func run(t testing.TB, cfg cloud.Config, filters ...string) *runner {
	t.Helper()
	if cfg.Servers == nil {
		cfg.Servers = []string{"broker.example"}
	}
	if cfg.Rand == nil {
		cfg.Rand = func() float64 { return 0.5 }
	}
	c, err := cloud.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range filters {
		c.SubscribeFunc(cloud.Subscription{Filter: f, QoS: 1}, func(error) {})
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &runner{Conn: c, end: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = c.Run(ctx)
	}()
	return r
}

// stop ends Run and waits.
func (r *runner) stop(t testing.TB) {
	t.Helper()
	r.end()
	<-r.ended
	if r.err != nil {
		t.Errorf("Run: %v", r.err)
	}
}

// connected waits until the connection is as wanted.
func (r *runner) connected(t testing.TB, want bool) {
	t.Helper()
	for begun := time.Now(); r.Status().Connected != want; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 10*time.Minute {
			t.Fatalf("still %v", r.Status())
		}
	}
}

// scripted returns a Dial whose server is a function. All of them are waited for
// by the returned function.
func scripted(serve func(conn net.Conn)) (dial func(context.Context, string, string) (net.Conn, error), wait func()) {
	var ends sync.WaitGroup
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := pipe()
		ends.Go(func() {
			defer theirs.Close()
			serve(theirs)
		})
		return ours, nil
	}, ends.Wait
}

// readPacket reads one packet of a client: its first byte and what is behind
// the fixed header.
func readPacket(r io.Reader) (kind byte, body []byte, err error) {
	b := make([]byte, 1)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, nil, err
	}
	kind = b[0]
	size := 0
	for shift := 0; ; shift += 7 {
		if _, err := io.ReadFull(r, b); err != nil {
			return 0, nil, err
		}
		size |= int(b[0]&0x7f) << shift
		if b[0]&0x80 == 0 {
			break
		}
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

var connack = []byte{0x20, 2, 0, 0}
