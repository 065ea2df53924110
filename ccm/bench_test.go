package ccm_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// BenchmarkRoundTrip sends messages of 64 bytes from a host through the module
// to a broker and back, 64 at a time, on one core: MQTT.Pub, PUBLISH, PUBLISH,
// MQTT.Message. The UART is as fast as it can be; the broker, mochi, runs in the
// same process behind a pipe in memory, and is part of the cost.
func BenchmarkRoundTrip(b *testing.B) {
	for _, qos := range []int{0, 1} {
		b.Run(fmt.Sprintf("qos%d", qos), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			near, far := net.Pipe()
			ctx, cancel := context.WithCancel(context.Background())
			var work sync.WaitGroup
			defer work.Wait()
			defer cancel()
			broker := ccmtest.NewBroker(ccmtest.BrokerOptions{Log: -1, WritesPending: 256})
			defer broker.Close()
			m, err := ccm.New(ccm.Config{
				Hosts: []ccm.HostConfig{{Open: once(near), MaxFrame: -1}},
				Cloud: &cloud.Config{Servers: []string{"mqtt://broker"}, Dial: broker.Dial},
			})
			if err != nil {
				b.Fatal(err)
			}
			work.Go(func() { m.Run(ctx) })
			defer far.Close()
			host := newRawHost(far)
			host.answerUntilFound(b, m)
			for !m.Status().Cloud.Connected {
				time.Sleep(time.Millisecond)
			}
			host.subscribe(b)
			pub := fmt.Appendf(nil, `{"method":"MQTT.Pub","params":{"topic":"t1","message":"%064d","qos":%d}}`+"\n", 7, qos)
			b.SetBytes(64)
			b.ReportAllocs()
			b.ResetTimer()
			host.exchange(b, pub, b.N, 64)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// once opens a port that is there already, once.
func once(p framing.Port) func(context.Context) (framing.Port, error) {
	given := false
	return func(ctx context.Context) (framing.Port, error) {
		if given {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		given = true
		return p, nil
	}
}

// rawHost is the cheapest host there is: it neither parses nor checks.
type rawHost struct {
	port  net.Conn
	lines chan int // lengths of the lines that came
}

func newRawHost(port net.Conn) *rawHost {
	h := &rawHost{port: port, lines: make(chan int, 1<<10)}
	go func() {
		r := bufio.NewReaderSize(port, 1<<16)
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				close(h.lines)
				return
			}
			h.lines <- len(line)
		}
	}()
	return h
}

// answerUntilFound waits until the module takes the host for opaque, or known by
// what it sends.
func (h *rawHost) answerUntilFound(b *testing.B, m *ccm.Module) {
	io.WriteString(h.port, `{"method":"Sys.Time"}`+"\n")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := m.Host("").Wait(ctx); err != nil {
		b.Fatal(err)
	}
	for len(h.lines) > 0 {
		<-h.lines
	}
}

func (h *rawHost) subscribe(b *testing.B) {
	io.WriteString(h.port, `{"id":1,"method":"MQTT.Sub","params":{"topic":"t1"}}`+"\n")
	select {
	case <-h.lines:
	case <-time.After(10 * time.Second):
		b.Fatal("no answer to MQTT.Sub")
	}
}

// exchange sends a frame n times, at most window ahead of what comes back.
func (h *rawHost) exchange(b *testing.B, frame []byte, n, window int) {
	open := 0
	for sent, got := 0, 0; got < n; {
		for sent < n && open < window {
			h.port.Write(frame)
			sent++
			open++
		}
		select {
		case <-h.lines:
			got++
			open--
		case <-time.After(10 * time.Second):
			b.Fatalf("%d of %d came back", got, sent)
		}
	}
}

// BenchmarkModules connects many modules, each with an idle host, to one broker,
// and reports what one costs in memory, without the broker's part and with it:
// 1000 of them, 10 000 with CCMKIT_FULL=1. "plain" has no shadow.
func BenchmarkModules(b *testing.B) {
	n := 1000
	if os.Getenv("CCMKIT_FULL") == "1" {
		n = 10000
	}
	b.Run("plain", func(b *testing.B) { benchModules(b, n, nil) })
	b.Run("shadow", func(b *testing.B) { benchModules(b, n, ccm.AWS) })
}

func benchModules(b *testing.B, n int, backend func(shadow.Transport, string, string) (shadow.Backend, error)) {
	for b.Loop() {
		broker, err := ccmtest.NewCloud(ccmtest.CloudOptions{Broker: ccmtest.BrokerOptions{Log: -1, WritesPending: 64}})
		if err != nil {
			b.Fatal(err)
		}
		before := memory()
		stop := connectBare(b, broker.Broker, n, backend != nil)
		bare := memory() - before
		stop()
		before = memory()
		ctx, cancel := context.WithCancel(context.Background())
		var work sync.WaitGroup
		modules := make([]*ccm.Module, n)
		for i := range modules {
			near, far := net.Pipe()
			m, err := ccm.New(ccm.Config{
				ID:     fmt.Sprint("dev-", i),
				Hosts:  []ccm.HostConfig{{Open: once(near)}},
				Cloud:  &cloud.Config{Servers: []string{"mqtt://broker"}, Dial: broker.Dial},
				Shadow: ccm.ShadowConfig{Backend: backend},
			})
			if err != nil {
				b.Fatal(err)
			}
			modules[i] = m
			work.Go(func() { m.Run(ctx) })
			work.Go(func() { idle(far) })
		}
		for _, m := range modules {
			m.Host("").Wait(ctx)
			for !m.Status().Cloud.Connected {
				time.Sleep(10 * time.Millisecond)
			}
		}
		full := memory()
		b.ReportMetric(float64(full-before-bare)/float64(n)/1024, "KiB/module")
		b.ReportMetric(float64(full-before)/float64(n)/1024, "KiB/module+broker")
		b.ReportMetric(float64(full)/(1<<30), "GiB")
		cancel()
		work.Wait()
		broker.Close()
	}
}

// idle is a host that has no methods and nothing to say: it answers every call
// with an error.
func idle(port io.ReadWriter) {
	lines := bufio.NewReaderSize(port, 256)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return
		}
		if id, _ := mjson.Find(line, "$.id").Int(); id > 0 {
			fmt.Fprintf(port, `{"id":%d,"error":{"code":-32601,"message":"method not found"}}`+"\n", id)
		}
	}
}

// memory returns the heap and the stacks in use, when all is quiet: each
// collection halves stacks that were once needed.
func memory() int64 {
	for range 5 {
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapInuse + s.StackInuse)
}

// connectBare connects n clients that subscribe to as much as a module does, but
// hold nothing besides: what they cost is the broker's part.
func connectBare(b *testing.B, broker *ccmtest.Broker, n int, withShadow bool) (stop func()) {
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := broker.Dial(context.Background(), "", "")
		if err != nil {
			b.Fatal(err)
		}
		conns[i] = c
		connect := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
		connect.ProtocolName, connect.ProtocolVersion = "MQTT", 4
		connect.ClientIdentifier, connect.CleanSession = fmt.Sprint("bare-", i), true
		connect.Write(c)
		shadow := fmt.Sprintf("$aws/things/bare-%d/shadow/", i)
		sub := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		sub.MessageID = 1
		for _, f := range []string{"update/delta", "update/accepted", "update/rejected", "get/accepted", "get/rejected"} {
			if !withShadow {
				break
			}
			sub.Topics, sub.Qoss = append(sub.Topics, shadow+f), append(sub.Qoss, 1)
		}
		sub.Topics, sub.Qoss = append(sub.Topics, fmt.Sprintf("bare-%d/rpc/#", i)), append(sub.Qoss, 1)
		sub.Write(c)
		for range 2 {
			if _, err := packets.ReadPacket(c); err != nil {
				b.Fatal(err)
			}
		}
	}
	return func() {
		for _, c := range conns {
			c.Close()
		}
		for len(broker.Clients()) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
}
