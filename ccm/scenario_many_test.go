package ccm_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// The hosts of TestScenario18. One takes nothing, one floods, one does neither
// hear nor speak; the others work.
const (
	manyHosts = 64
	stuckHost = 0
	floodHost = 1
	deadHost  = 2
	period    = 10 * time.Second // each host gets and sends a message so often
)

func good(i int) bool { return i > deadHost }

// many is a run of TestScenario18.
type many struct {
	t        *testing.T
	cloud    *ccmtest.Cloud
	rig      *rig
	stations []*station
	rounds   int

	mu    sync.Mutex
	up    [manyHosts]int // the next number to come from each host
	down  [manyHosts]int // the next number to come to each host
	slow  time.Duration  // the longest way of a message to a good host
	sent  time.Time      // of the messages of this round
	wrong atomic.Int64
	pause atomic.Bool // of the flood
}

// TestScenario18 runs 64 hosts on one module, for an hour in full runs instead of
// a day: hosts that misbehave make the others neither lose nor wait for anything,
// and cost a bounded amount of memory.
func TestScenario18(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &many{t: t, rounds: max(heavy(360), 12)}
		m.start()
		for range m.rounds / 4 {
			m.round()
		}
		before := m.measure()
		for range m.rounds - m.rounds/4 {
			m.round()
		}
		m.check(before, m.measure())
	})
}

// start runs the module with its hosts, and has them subscribe.
func (m *many) start() {
	var err error
	if m.cloud, err = ccmtest.NewCloud(ccmtest.CloudOptions{Broker: ccmtest.BrokerOptions{Log: -1}}); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { m.cloud.Close() })
	m.cloud.Subscribe("up/+", m.arrived)
	cfg := ccm.Config{ID: "dev", Cloud: via(m.cloud), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}}
	for i := range manyHosts {
		s := newStation(ccmtest.Line{Baud: 115200, Trace: -1, HostBuffer: 4096}, ccmtest.MCUOptions{
			Generation: ccmtest.Generations()[i%4], Mirror: true, Report: ccmtest.ReportNone, Log: 16,
		})
		s.mcu.HandleFunc("MQTT.Message", func(_ context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) { m.received(i, r) })
		m.stations = append(m.stations, s)
		cfg.Hosts = append(cfg.Hosts, s.config(fmt.Sprint("h", i)))
	}
	m.rig = up(m.t, cfg, m.stations...)
	for i, s := range m.stations {
		if _, err := s.mcu.Call(m.t.Context(), "MQTT.Sub", `{"topic":"down/%d"}`, i); err != nil {
			m.t.Fatalf("host %d: %v", i, err)
		}
	}
	m.stations[stuckHost].uart.Module().Stall(true)
	m.stations[deadHost].mcu.Hang(true)
	m.rig.work.Go(func() { m.flood(m.stations[floodHost].mcu) })
}

// flood sends as much as the line carries, for a third of the time: junk, frames
// that are none, requests and publications.
func (m *many) flood(mcu *ccmtest.MCU) {
	junk := strings.Repeat("lorem ipsum {\n", 20)
	frames := strings.Repeat(`{"id":1,"method":"No.Such.Method"}`+"\n"+`{"id":2,"method":"Shadow.Report","params":5}`+"\n"+`{"id":3,"method":"x",}`+"\n", 4)
	for n := 0; m.rig.ctx.Err() == nil; n++ {
		for m.pause.Load() && m.rig.ctx.Err() == nil {
			time.Sleep(time.Second)
		}
		if mcu.Print(m.rig.ctx, junk+frames+pub("", "up/flood", strconv.Itoa(n), 0)+"\n") != nil {
			return
		}
		if n%50 == 0 {
			time.Sleep(10 * time.Second)
		}
	}
}

// round is ten seconds of work.
func (m *many) round() {
	m.mu.Lock()
	m.sent = time.Now()
	n := m.down[manyHosts-1]
	m.mu.Unlock()
	for i, s := range m.stations {
		publish(m.t, m.cloud.Broker, fmt.Sprint("down/", i), strconv.Itoa(n))
		if good(i) {
			m.rig.work.Go(func() { s.mcu.Notify(m.rig.ctx, "MQTT.Pub", `{"topic":"up/%d","message":"%d","qos":1}`, i, n) })
			m.rig.work.Go(func() {
				out, err := m.rig.module.Host(fmt.Sprint("h", i)).Call(m.rig.ctx, nil, "Sum", "[%d,%d]", i, n)
				if err != nil || string(out) != strconv.Itoa(i+n) {
					m.wrong.Add(1)
				}
			})
		}
	}
	if n%6 == 0 { // once a minute
		for i := range m.stations {
			set(m.t, m.cloud, fmt.Sprint("dev/h", i), fmt.Sprintf(`{"n":%d}`, n))
		}
	}
	time.Sleep(period)
}

// arrived counts a message from a host.
func (m *many) arrived(msg ccmtest.Message) {
	i, err := strconv.Atoi(strings.TrimPrefix(msg.Topic, "up/"))
	if err != nil {
		return // of the flood
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, _ := strconv.Atoi(string(msg.Payload)); n != m.up[i] {
		m.wrong.Add(1)
	}
	m.up[i]++
}

// received counts a message to a host.
func (m *many) received(i int, r *jsonrpc.Request) {
	text, _ := r.Param("message").Text()
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, _ := strconv.Atoi(text); good(i) && n != m.down[i] {
		m.wrong.Add(1)
	}
	m.down[i]++
	if good(i) {
		m.slow = max(m.slow, time.Since(m.sent))
	}
}

// usage is what the process uses.
type usage struct {
	goroutines int
	heap       uint64
}

// measure waits until all is quiet.
func (m *many) measure() usage {
	m.pause.Store(true)
	defer m.pause.Store(false)
	time.Sleep(15 * time.Second) // what the stuck host did not get is given up
	synctest.Wait()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return usage{runtime.NumGoroutine(), s.HeapAlloc}
}

// check demands that the good hosts have lost nothing.
func (m *many) check(before, after usage) {
	t := m.t
	m.mu.Lock()
	for i := range manyHosts {
		if good(i) && (m.up[i] != m.rounds || m.down[i] != m.rounds) {
			t.Errorf("host %d: %d messages came from it and %d to it, want %d", i, m.up[i], m.down[i], m.rounds)
		}
	}
	if n := m.wrong.Load(); n != 0 {
		t.Errorf("%d messages out of order, or calls that failed", n)
	}
	if m.slow > 100*time.Millisecond {
		t.Errorf("a message took %v", m.slow)
	}
	slow := m.slow
	m.mu.Unlock()
	for i := range manyHosts {
		if good(i) {
			cleared(t, m.cloud, fmt.Sprint("dev/h", i))
		}
	}
	st := m.rig.module.Stats()
	if want := uint64(m.rounds); st.Undelivered != want || st.Delivered != (manyHosts-1)*want {
		t.Errorf("%d messages delivered and %d given up, want %d and %d", st.Delivered, st.Undelivered, (manyHosts-1)*want, want)
	}
	f := st.Hosts["h1"].Port
	if f.Line.Junk < 1000 || f.RPC.Malformed < 100 {
		t.Errorf("no flood: %+v", f)
	}
	if after.goroutines != before.goroutines {
		t.Errorf("%d goroutines, %d before", after.goroutines, before.goroutines)
	}
	if after.heap > before.heap+4<<20 {
		t.Errorf("%d KiB of heap, %d before", after.heap>>10, before.heap>>10)
	}
	t.Logf("%d rounds, the slowest message took %v; %d goroutines, %d KiB of heap (%d before); flood: %d lines of junk, %d bad frames",
		m.rounds, slow, after.goroutines, after.heap>>10, before.heap>>10, f.Line.Junk, f.RPC.Malformed)
}
