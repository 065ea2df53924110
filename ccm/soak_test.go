package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
)

// What the soak does, and how often.
const (
	soakTopics  = 4 // of the messages; each has its order
	soakCall    = 10 * time.Second
	soakShadow  = time.Minute
	soakLoss    = 1e-4 // of the bytes on the line
	soakKeys    = 8    // members of the shadow, which change in turn
	soakQueue   = 8192
	soakWindow  = 32 // messages of the queue that are in flight
	outageMin   = time.Second
	outageMax   = time.Hour
	outageShare = 10 // a tenth of the time
)

// soakTime is how much virtual time the soak lasts: a day in full runs.
func soakTime() time.Duration { return time.Duration(heavy(24*60*60)) * time.Second }

// TestSoak is L1 of the reliability demands, without restarts: a host publishes
// a message a second with QoS 1 over a line that loses bytes, through a module
// whose broker is away a tenth of the time, for a day.
func TestSoak(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) { runSoak(t, soakTime(), 1) })
	wall := time.Since(began)
	t.Logf("%v of virtual time in %v", soakTime(), wall.Round(10*time.Millisecond))
	if limit := time.Minute; wall > limit && !race.Enabled {
		t.Errorf("it took %v, %v are allowed", wall, limit)
	}
}

// soak is a run of it.
type soak struct {
	t      *testing.T
	length time.Duration
	begun  time.Time
	cloud  *ccmtest.Cloud
	uart   *ccmtest.UART
	module *ccm.Module
	host   *host.Host
	parts  sync.WaitGroup // module and host
	work   sync.WaitGroup // what they are made to do
	rest   chan struct{}  // closed when those who have no work may go

	repeated, calls, failed, changes, outages atomic.Int64

	mu      sync.Mutex
	seen    []uint8 // how often each message came to the broker
	last    [soakTopics]int
	doubles int
	state   []byte // of the host: all deltas
}

// runSoak runs a soak of a length to its end.
func runSoak(t *testing.T, length time.Duration, seed uint64) {
	s := &soak{t: t, length: length, begun: time.Now(), rest: make(chan struct{}), state: []byte("{}")}
	s.seen = make([]uint8, int(length/time.Second))
	for i := range s.last {
		s.last[i] = -1
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.start(ctx, seed)
	s.worker(func() { s.interrupt(rand.New(rand.NewPCG(seed, 1))) })
	for topic := range soakTopics {
		s.worker(func() { s.publish(ctx, topic) })
	}
	s.worker(func() { s.every(soakShadow, s.change) })
	s.worker(func() { s.every(soakCall, func(i int) { s.callHost(ctx, i) }) })
	s.worker(func() { s.every(soakCall, func(int) { s.callModule(ctx) }) })

	time.Sleep(min(length/2, time.Hour) + time.Second/2)
	before := s.measure()
	s.work.Wait()
	s.converge()
	after := s.measure()
	s.judge(before, after)
	close(s.rest)
	cancel()
	s.parts.Wait()
	s.cloud.Close()
}

// worker starts a goroutine that works, and then stays, so that the number of
// goroutines does not tell that it has nothing to do any more.
func (s *soak) worker(f func()) {
	s.work.Add(1)
	s.parts.Go(func() {
		f()
		s.work.Done()
		<-s.rest
	})
}

// start starts the module, the host and the cloud, and waits until they know
// each other.
func (s *soak) start(ctx context.Context, seed uint64) {
	var err error
	if s.cloud, err = ccmtest.NewCloud(ccmtest.CloudOptions{Broker: ccmtest.BrokerOptions{Log: -1}}); err != nil {
		s.t.Fatal(err)
	}
	if _, err = s.cloud.Subscribe("soak/#", s.arrived); err != nil {
		s.t.Fatal(err)
	}
	s.uart = ccmtest.NewUART(ccmtest.Line{Baud: 115200, Seed: seed, Faults: ccmtest.Faults{Drop: soakLoss}, Trace: -1})
	s.module, err = ccm.New(ccm.Config{
		ID:     "soak-1",
		Hosts:  []ccm.HostConfig{{Open: s.uart.OpenModule, CRC: framing.CRCSend, RequireCRC: true, Retries: 2}},
		Cloud:  &cloud.Config{Servers: []string{"broker"}, Dial: s.cloud.Dial},
		Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
		Queue:  ccm.QueueConfig{MaxMessages: soakQueue},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.host = host.New(&host.Config{RequireCRC: true})
	s.host.HandleFunc("Sum", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		a, _ := r.Arg(0).Int()
		b, _ := r.Arg(1).Int()
		w.Resultf("%ld", a+b)
	})
	s.host.OnDelta(s.delta)
	s.parts.Go(func() { s.module.Run(ctx) })
	s.parts.Go(func() { s.host.Run(ctx, s.uart.Host()) })
	found(s.t, s.module.Host(""))
	for !s.module.Status().Cloud.Connected {
		time.Sleep(time.Second)
	}
}

// elapsed is the time since the begin.
func (s *soak) elapsed() time.Duration { return time.Since(s.begun) }

// every calls f at intervals until the end.
func (s *soak) every(d time.Duration, f func(i int)) {
	for i := 1; time.Duration(i)*d < s.length; i++ {
		time.Sleep(time.Duration(i)*d - s.elapsed())
		f(i)
	}
}

// interrupt stops the broker a tenth of the time: every other time it refuses
// connections, else it is behind a network that swallows everything.
func (s *soak) interrupt(r *rand.Rand) {
	down := s.length / outageShare
	var outages []time.Duration
	for left := down; left > 0; {
		d := time.Duration(math.Exp(r.Float64()*math.Log(float64(outageMax/outageMin))) * float64(outageMin))
		switch len(outages) {
		case 0:
			d = outageMax // both extremes are among them, as far as there is time for them
		case 1:
			d = outageMin
		}
		d = min(d, max(down/2, outageMin), left)
		outages, left = append(outages, d), left-d
	}
	gaps := make([]float64, len(outages)+1)
	sum := 0.0
	for i := range gaps {
		gaps[i] = 0.1 + r.ExpFloat64()
		sum += gaps[i]
	}
	r.Shuffle(len(outages), func(i, j int) { outages[i], outages[j] = outages[j], outages[i] })
	for i, d := range outages {
		time.Sleep(time.Duration(float64(s.length-down-time.Minute) * gaps[i] / sum))
		s.outages.Add(1)
		if i%2 == 0 {
			s.cloud.Stop()
		} else {
			s.cloud.Freeze(true)
		}
		time.Sleep(d)
		s.cloud.Start()
		s.cloud.Freeze(false)
	}
}

// publish publishes every soakTopics-th message, one after the other.
func (s *soak) publish(ctx context.Context, topic int) {
	name := "soak/" + strconv.Itoa(topic)
	for i := topic; i < len(s.seen); i += soakTopics {
		time.Sleep(time.Duration(i)*time.Second - s.elapsed())
		for s.host.Publish(ctx, name, fmt.Appendf(nil, "%06d, and what the sensor has measured", i), 1) != nil {
			s.repeated.Add(1)
			time.Sleep(time.Second)
		}
	}
}

// arrived is told of each message that comes to the broker.
func (s *soak) arrived(m ccmtest.Message) {
	i, err := strconv.Atoi(string(m.Payload[:min(6, len(m.Payload))]))
	s.mu.Lock()
	defer s.mu.Unlock()
	topic := i % soakTopics
	switch {
	case err != nil || i >= len(s.seen) || m.Topic != "soak/"+strconv.Itoa(topic):
		s.t.Errorf("a message that nobody sent: %s %q", m.Topic, m.Payload)
		return
	case s.seen[i] > 0:
		s.doubles++
	case i < s.last[topic]:
		s.t.Errorf("message %d came after %d", i, s.last[topic])
	default:
		s.last[topic] = i
	}
	s.seen[i]++
}

// change changes the desired state.
func (s *soak) change(i int) {
	s.changes.Add(1)
	if err := s.cloud.SetDesired("soak-1", fmt.Sprintf(`{"k%d":%d}`, i%soakKeys, i)); err != nil {
		s.t.Errorf("SetDesired: %v", err)
	}
}

// delta applies a delta, and reports it.
func (s *soak) delta(ctx context.Context, delta []byte) {
	s.mu.Lock()
	s.state = mjson.Merge(nil, s.state, delta)
	s.mu.Unlock()
	s.host.Report(ctx, "%s", delta)
}

// callHost has the module call the host.
func (s *soak) callHost(ctx context.Context, i int) {
	s.calls.Add(1)
	out, err := s.module.Host("").Call(ctx, nil, "Sum", "[%d,%d]", i, 1)
	if err == nil && string(out) != strconv.Itoa(i+1) {
		s.t.Errorf("%d + 1 = %s", i, out)
	}
	s.count(err)
}

// callModule has the host call the module.
func (s *soak) callModule(ctx context.Context) {
	s.calls.Add(1)
	before := time.Now().Unix()
	out, err := s.host.Call(ctx, nil, "Sys.Time", "")
	if now, _ := strconv.ParseInt(string(out), 10, 64); err == nil && (now < before || now > time.Now().Unix()) {
		s.t.Errorf("Sys.Time: %s", out)
	}
	s.count(err)
}

// count counts a call that has failed.
func (s *soak) count(err error) {
	if err == nil {
		return
	}
	if !errors.Is(err, jsonrpc.ErrTimeout) {
		s.t.Errorf("call: %v", err)
	}
	s.failed.Add(1)
}

// sizes are what a module takes that is at rest.
type sizes struct {
	goroutines int
	heap       uint64
}

// measure waits until nothing is left to do, and measures.
func (s *soak) measure() sizes {
	for i := 0; ; i++ {
		synctest.Wait()
		if st := s.module.Stats(); s.module.Status().Cloud.Connected && st.Outbox.Len == 0 {
			break
		}
		if i > 2*3600 {
			s.t.Fatalf("no rest: %+v, %v", s.module.Stats().Outbox, s.module.Status().Cloud)
		}
		time.Sleep(time.Second)
	}
	for range 5 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return sizes{goroutines: runtime.NumGoroutine(), heap: m.HeapAlloc}
}

// converge changes the shadow a last time, on a line without faults.
func (s *soak) converge() {
	s.uart.Module().SetFaults(ccmtest.Faults{})
	s.uart.Host().SetFaults(ccmtest.Faults{})
	time.Sleep(time.Minute + time.Second/2)
	s.change(0)
	time.Sleep(10 * time.Second)
}

// judge compares what has come with what was sent.
func (s *soak) judge(before, after sizes) {
	t, st := s.t, s.module.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := 0
	for _, n := range s.seen {
		if n == 0 {
			lost++
		}
	}
	faults := s.uart.Module().Stats().Faults() + s.uart.Host().Stats().Faults()
	port := st.Hosts[""].Port
	t.Logf("messages: %d sent, %d lost, %d doubled, %d repeated by the host", len(s.seen), lost, s.doubles, s.repeated.Load())
	t.Logf("broker: %d outages, %d connections lost; queue: %+v", s.outages.Load(), st.Cloud.Lost, st.Outbox)
	t.Logf("line: %d bytes lost, %d requests seen twice by the module", faults, port.RPC.Joined+port.RPC.Replayed)
	t.Logf("calls: %d, %d without an answer; shadow: %d changes, %+v", s.calls.Load(), s.failed.Load(), s.changes.Load(), st.Hosts[""].Shadow)
	t.Logf("goroutines %d, then %d; heap %d KiB, then %d KiB", before.goroutines, after.goroutines, before.heap>>10, after.heap>>10)

	if lost > 0 {
		t.Errorf("%d messages lost", lost)
	}
	if limit := int(st.Cloud.Lost)*soakWindow + int(s.repeated.Load()); s.doubles > limit {
		t.Errorf("%d messages doubled, at most %d are explained", s.doubles, limit)
	}
	if s.repeated.Load() > 2+int64(len(s.seen)/1000) {
		t.Errorf("%d publications of the host failed", s.repeated.Load())
	}
	if s.failed.Load() > 2+s.calls.Load()/1000 {
		t.Errorf("%d of %d calls without an answer", s.failed.Load(), s.calls.Load())
	}
	if o := st.Outbox; o.Accepted != o.Sent || o.Len > 0 || o.Full+o.Dropped+o.Refused > 0 {
		t.Errorf("queue: %+v", o)
	}
	doc := s.cloud.Shadow("soak-1")
	if !shadow.Equal(s.state, []byte(doc.Desired)) || doc.Delta != "" {
		t.Errorf("shadow: %+v, the host has %s", doc, s.state)
	}
	if before.goroutines != after.goroutines {
		t.Errorf("%d goroutines, then %d", before.goroutines, after.goroutines)
	}
	if limit := before.heap + before.heap/5; after.heap > limit {
		t.Errorf("heap %d bytes, then %d", before.heap, after.heap)
	}
	if faults == 0 || s.outages.Load() == 0 {
		t.Error("nothing went wrong")
	}
}
