package ccm_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/coder/websocket"
)

// attack is what clients do to a door until stop is closed.
type attack struct {
	name string
	run  func(m *managed, stop chan struct{})
}

// attacks are slow, huge, fragmented and never-ending requests, and floods, at every
// door.
var attacks = []attack{
	{"slow headers", func(m *managed, stop chan struct{}) {
		drip(m.web, "POST /rpc HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 4000), 200, stop)
	}},
	{"slow body", func(m *managed, stop chan struct{}) {
		drip(m.web, "POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\n"+strings.Repeat(" ", 4000), 200, stop)
	}},
	{"endless body", func(m *managed, stop chan struct{}) {
		pour(m.web, "POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n", stop)
	}},
	{"endless headers", func(m *managed, stop chan struct{}) {
		pour(m.web, "POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\n", "X: x\r\n", stop)
	}},
	{"endless fragments", func(m *managed, stop chan struct{}) {
		pour(m.web, "GET /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
			"\x00\x84\x00\x00\x00\x00    ", stop)
	}},
	{"huge websocket message", func(m *managed, stop chan struct{}) {
		pour(m.web, "GET /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"+
			"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", "                ", stop)
	}},
	{"TCP without frames", func(m *managed, stop chan struct{}) { pour(m.tcp, "", `\n"""{"id":1,"x":"`, stop) }},
	{"TCP flood", func(m *managed, stop chan struct{}) {
		pour(m.tcp, "", "\n\"\"\"{\"id\":1,\"src\":\"x\",\"method\":\"Config.Get\"}\"\"\"\n", stop)
	}},
	{"UDP flood", func(m *managed, stop chan struct{}) {
		c, err := net.Dial("udp", m.udp)
		if err != nil {
			return
		}
		defer c.Close()
		for !closed(stop) {
			io.WriteString(c, `{"id":1,"method":"Config.Get"}`)
			time.Sleep(100 * time.Microsecond)
		}
	}},
	{"websocket flood", func(m *managed, stop chan struct{}) {
		c, _, err := websocket.Dial(m.ctx, "ws://"+m.web+"/rpc", nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for !closed(stop) && c.Write(m.ctx, websocket.MessageText, []byte(`{"id":1,"method":"Config.Get"}`)) == nil {
		}
	}},
	{"serial flood", func(m *managed, stop chan struct{}) {
		var reader sync.WaitGroup
		defer reader.Wait()
		reader.Go(func() {
			for buf := make([]byte, 4096); ; { // until nothing comes any more
				m.serial.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
				if _, err := m.serial.Read(buf); err != nil && closed(stop) {
					return
				}
			}
		})
		for !closed(stop) {
			m.serial.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			io.WriteString(m.serial, "\n\"\"\"{\"id\":1,\"method\":\"Config.Get\"}\"\"\"\n"+strings.Repeat("x", 5000))
		}
	}},
	{"connections", func(m *managed, stop chan struct{}) {
		for !closed(stop) {
			if c, err := net.Dial("tcp", m.web); err == nil {
				defer c.Close()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}},
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// drip sends a text on many connections, a byte a second on each.
func drip(address, text string, n int, stop chan struct{}) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer c.Close()
			for _, b := range []byte(text) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
				}
			}
		})
	}
	all.Wait()
}

// pour sends a head and then the same again and again, as fast as it is taken, on one
// connection after the other.
func pour(address, head, more string, stop chan struct{}) {
	for !closed(stop) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		go io.Copy(io.Discard, c)
		io.WriteString(c, head)
		for !closed(stop) {
			c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := io.WriteString(c, more); err != nil {
				break
			}
		}
		c.Close()
	}
}

// attacked runs an attack for a while, has the host call the module meanwhile, and
// returns how long each of its calls took, and the most memory in use in bytes.
func attacked(t testing.TB, m *managed, lines *lineReader, a attack, during time.Duration) (took []time.Duration, most int64) {
	t.Helper()
	stop := make(chan struct{})
	var attackers sync.WaitGroup
	attackers.Go(func() { a.run(m, stop) })
	for begin, i := time.Now(), 0; time.Since(begin) < during; i++ {
		began := time.Now()
		if _, err := fmt.Fprintf(lines.port, `{"id":%d,"method":"Sys.Time"}`+"\n", i); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"id":%d,"result":`, i)
		if line := lines.next(t); !strings.HasPrefix(line, want) {
			t.Fatalf("%s: the host is answered %s", a.name, line)
		}
		took = append(took, time.Since(began))
		var s runtime.MemStats
		if i%50 == 0 {
			runtime.ReadMemStats(&s)
			most = max(most, int64(s.HeapInuse+s.StackInuse))
		}
		time.Sleep(2 * time.Millisecond)
	}
	close(stop)
	attackers.Wait()
	return took, most
}

// lineReader is a host that knows no method, and reads what it is answered.
type lineReader struct {
	port *ccmtest.End
	part string
}

// next returns the next answer.
func (l *lineReader) next(t testing.TB) string {
	for buf := make([]byte, 1024); ; {
		for {
			line, rest, whole := strings.Cut(l.part, "\n")
			if !whole {
				break
			}
			l.part = rest
			id := mjson.Find([]byte(line), "$.id")
			switch called := mjson.Find([]byte(line), "$.method").Exists(); {
			case called && id.Exists():
				fmt.Fprintf(l.port, `{"id":%s,"error":{"code":-32601,"message":"method not found"}}`+"\n", id)
			case id.Exists():
				return line
			}
		}
		l.port.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := l.port.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		l.part += string(buf[:n])
	}
}

// newAttacked returns a managed module with a host on an unpaced line, which the test
// plays.
func newAttacked(t testing.TB) (*managed, *lineReader) {
	line := ccmtest.NewUART(ccmtest.Line{})
	m := newManaged(t, managedConfig{module: func(c *ccm.Config) {
		c.Hosts = []ccm.HostConfig{{Open: line.OpenModule}}
	}})
	port := line.Host()
	t.Cleanup(func() { port.Close() })
	lines := &lineReader{port: port}
	io.WriteString(port, `{"id":1,"method":"Sys.Time"}`+"\n")
	lines.next(t)
	for begin := time.Now(); m.module.Host("").Status().State < ccm.HostReady && time.Since(begin) < 10*time.Second; {
		io.WriteString(port, `{"id":1,"method":"Sys.Time"}`+"\n")
		lines.next(t) // and answer who is there
		time.Sleep(time.Millisecond)
	}
	return m, lines
}

// TestX1Attacks: under every attack at every door, the host is answered, memory stays
// within 16 MiB above what it was, and afterwards everything is as before.
func TestX1Attacks(t *testing.T) {
	during := 200 * time.Millisecond
	if os.Getenv("CCMKIT_FULL") == "1" {
		during = 3 * time.Second
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			m, lines := newAttacked(t)
			overHTTP(t, m.web, "", `{"id":1,"method":"RPC.Ping"}`)
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			base, goroutines := memory(), runtime.NumGoroutine()
			took, most := attacked(t, m, lines, a, during)
			slices.Sort(took)
			t.Logf("%d calls of the host, p50 %v, p99 %v, %d KiB above base", len(took), took[len(took)/2], took[len(took)*99/100], (most-base)>>10)
			if most > base+16<<20 {
				t.Errorf("%d KiB above base", (most-base)>>10)
			}
			eventually(t, "the end of the connections", func() bool {
				st := m.module.Service().Stats()
				return st.Channels == 0 && st.Handlers == 0 && runtime.NumGoroutine() <= goroutines
			})
			if overHTTP(t, m.web, "", `{"id":1,"method":"RPC.Ping"}`); memory() > base+1<<20 {
				t.Errorf("%d KiB above base, afterwards", (memory()-base)>>10)
			}
		})
	}
}
