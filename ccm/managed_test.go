package ccm_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/ccm/wifi"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/coder/websocket"
)

// managed is a module with all that there is to manage, and doors on this machine.
type managed struct {
	*rig
	dir     string
	store   *config.Store
	files   *files.Dir
	net     *wifi.Fake
	reboots atomic.Int32
	window  atomic.Bool

	web, ap  string // addresses of HTTP doors: of the network, and of the access point
	tcp, udp string
	serial   net.Conn // the other end of the serial line for mos
}

// managedConfig is what a test changes of a managed module.
type managedConfig struct {
	dir      string // "" = a new one
	password string // of admin; "" = there is none
	noDoors  bool   // in a bubble there are no sockets
	rootKey  config.RootKeyProvider
	log      *logbook
	module   func(c *ccm.Config)
	setup    func(s *config.Store) error
}

// newManaged runs a managed module until the end of the test.
func newManaged(t testing.TB, o managedConfig) *managed {
	t.Helper()
	m := &managed{dir: o.dir, net: wifi.NewFake(wifi.FakeConfig{})}
	if m.dir == "" {
		m.dir = t.TempDir()
	}
	options := config.Options{Dir: m.dir, MAC: "A0B1C2A1B2C3", RootKey: o.rootKey}
	if o.log != nil {
		options.Logger = o.log.logger()
	}
	var err error
	if m.store, err = config.Open(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	if m.files, err = files.Open(files.Options{Dir: filepath.Join(m.dir, "files")}); err != nil {
		t.Fatal(err)
	}
	if o.password != "" {
		m.mustSet(t, `{"rpc":{"auth_file":"pass.txt","auth_algo":0}}`)
		line := access.HTDigest("admin", "RPC", o.password, access.MD5)
		if err := os.WriteFile(filepath.Join(m.dir, "pass.txt"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if o.setup != nil {
		if err := o.setup(m.store); err != nil {
			t.Fatal(err)
		}
	}
	near, far := net.Pipe()
	m.serial = far
	t.Cleanup(func() { far.Close() })
	cfg := ccm.Config{Info: ccm.Info{App: "ccm", FWVersion: "1.0"}}
	cfg.Management = ccm.Management{
		Store: m.store, Files: m.files, Network: m.net, MAC: "A0B1C2A1B2C3", Reboot: func() { m.reboots.Add(1) },
		SetDebug: func(int) error { return nil },
		Access: access.Config{
			Window:   m.window.Load,
			ReadFile: func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(m.dir, filepath.Base(name))) },
		},
	}
	if !o.noDoors {
		cfg.Management.Doors = m.doors(t, near)
	}
	if o.module != nil {
		o.module(&cfg)
	}
	m.rig = start(t, cfg)
	t.Cleanup(m.stop)
	return m
}

// mustSet changes the configuration as the program.
func (m *managed) mustSet(t testing.TB, tree string) {
	t.Helper()
	if err := m.store.Set(config.Change{Config: []byte(tree), Vendor: true}); err != nil {
		t.Fatal(err)
	}
}

// doors opens one door of every kind.
func (m *managed) doors(t testing.TB, serial net.Conn) []ccm.Door {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	web, ap, tcp := listen(), listen(), listen()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.web, m.ap, m.tcp, m.udp = web.Addr().String(), ap.Addr().String(), tcp.Addr().String(), udp.LocalAddr().String()
	var once sync.Once
	open := func(context.Context) (port framing.Port, err error) {
		err = os.ErrClosed
		once.Do(func() { port, err = serial, nil })
		return port, err
	}
	return []ccm.Door{
		ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
			return channel.NewHTTP(s, channel.HTTPConfig{Role: access.LAN}).Serve(ctx, web)
		}),
		ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
			return channel.NewHTTP(s, channel.HTTPConfig{Role: access.User}).Serve(ctx, ap)
		}),
		ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
			return channel.ServeTCP(ctx, s, tcp, channel.TCPConfig{Role: access.LAN})
		}),
		ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
			return channel.ServeUDP(ctx, s, udp, channel.UDPConfig{Role: access.LAN})
		}),
		ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
			channel.ServeSerial(ctx, s, channel.SerialConfig{Open: open})
			return nil
		}),
	}
}

// ask has the module serve a frame from an origin, without a door.
func (m *managed) ask(t testing.TB, o *access.Origin, frame string) (reply string) {
	t.Helper()
	c := m.module.Service().Accept(o, []byte(frame))
	if c == nil {
		return ""
	}
	if err := c.Serve(m.ctx, func(text []byte) error {
		reply = string(text)
		return nil
	}); err != nil {
		t.Error(err)
	}
	return reply
}

// errorCode returns the code of the error in a reply, 0 for none.
func errorCode(reply string) int { return int(mjson.GetInt([]byte(reply), "$.error.code", 0)) }

// textAt returns the string at a path, or "".
func textAt(doc []byte, path string) string {
	text, _ := mjson.Find(doc, path).Text()
	return text
}

// dialSocket opens a websocket as mos does.
func dialSocket(t testing.TB, address string) *websocket.Conn {
	t.Helper()
	h := http.Header{"Origin": {"https://api.cesanta.com/"}}
	c, _, err := websocket.Dial(t.Context(), "ws://"+address+"/rpc", &websocket.DialOptions{HTTPHeader: h, Subprotocols: []string{"clubby.cesanta.com"}})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	return c
}

// overSocket sends a frame, and returns the reply to it; "" if it has no id.
func overSocket(t testing.TB, c *websocket.Conn, frame string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
	if !mjson.Find([]byte(frame), "$.id").Exists() {
		return ""
	}
	_, text, err := c.Read(ctx)
	if err != nil {
		t.Fatalf("%s: %v", frame, err)
	}
	return string(text)
}
