package ccm_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// heavy returns n in full runs, else a tenth of it; under the race detector,
// which is ten times slower, a tenth of that.
func heavy(n int) int {
	if os.Getenv("CCMKIT_FULL") != "1" {
		n /= 10
	}
	if race.Enabled {
		n /= 10
	}
	return n
}

// station is a host on a line of its own.
type station struct {
	uart *ccmtest.UART
	mcu  *ccmtest.MCU
}

func newStation(l ccmtest.Line, o ccmtest.MCUOptions) *station {
	return &station{uart: ccmtest.NewUART(l), mcu: ccmtest.NewMCU(o)}
}

// config describes the way to the station's host.
func (s *station) config(name string) ccm.HostConfig {
	return ccm.HostConfig{Name: name, Open: s.uart.OpenModule, Reset: s.mcu.Reset}
}

// newBroker returns a broker that ends with the test.
func newBroker(t testing.TB, o ccmtest.BrokerOptions) *ccmtest.Broker {
	b := ccmtest.NewBroker(o)
	t.Cleanup(func() { b.Close() })
	return b
}

// newCloud returns a broker with a shadow service. Both end with the test.
func newCloud(t testing.TB) *ccmtest.Cloud {
	t.Helper()
	c, err := ccmtest.NewCloud(ccmtest.CloudOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// dialer is a broker to connect to.
type dialer interface {
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// via describes the connection to a broker. The backoff is not random.
func via(b dialer) *cloud.Config {
	return &cloud.Config{Servers: []string{"mqtt://broker"}, Dial: b.Dial, Rand: func() float64 { return 0.5 }}
}

// rig is a module that runs, with hosts and a broker. It is for use inside a
// synctest bubble.
type rig struct {
	t      testing.TB
	module *ccm.Module
	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	work   sync.WaitGroup // stop waits for it
}

// start runs a module and the hosts of stations.
func start(t testing.TB, cfg ccm.Config, stations ...*station) *rig {
	t.Helper()
	m, err := ccm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{t: t, module: m, ctx: ctx, cancel: cancel}
	r.work.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	for _, s := range stations {
		r.work.Go(func() { s.mcu.Run(ctx, s.uart.Host()) })
	}
	return r
}

// up runs a module as start does, until the end of the test, and returns when its
// hosts are found and the broker is there.
func up(t testing.TB, cfg ccm.Config, stations ...*station) *rig {
	t.Helper()
	r := start(t, cfg, stations...)
	t.Cleanup(r.stop)
	for _, h := range r.module.Hosts() {
		found(t, h)
	}
	if cfg.Cloud != nil {
		r.online()
	}
	return r
}

// stop ends everything.
func (r *rig) stop() {
	r.cancel()
	r.work.Wait()
}

// online waits for the connection to the broker, and offline for its end.
func (r *rig) online() {
	r.t.Helper()
	eventually(r.t, "the connection", func() bool { return r.module.Status().Cloud.Connected })
}

func (r *rig) offline() {
	r.t.Helper()
	eventually(r.t, "the end of the connection", func() bool { return !r.module.Status().Cloud.Connected })
}

// eventually waits until something holds, and fails after two minutes.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for begin := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 2*time.Minute {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// logbook keeps what is logged.
type logbook struct {
	mu      sync.Mutex
	records []string // level, message and attributes
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write takes one record.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, string(p))
	return len(p), nil
}

// count returns how many records hold all of these words.
func (l *logbook) count(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for _, r := range l.records {
		for _, w := range words {
			if !strings.Contains(r, w) {
				continue next
			}
		}
		n++
	}
	return n
}

// want demands that something was logged: a record with all of these words.
func (l *logbook) want(t testing.TB, words ...string) {
	t.Helper()
	if l.count(words...) == 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Errorf("no record with %q in the log:\n%s", words, strings.Join(l.records, ""))
	}
}

// nothing is a handler that does nothing.
func nothing(context.Context, *jsonrpc.Response, *jsonrpc.Request) {}
