package cloud_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

const payload64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// The broker and the connection share one core in these benchmarks: run them
// with GOMAXPROCS=1.

func BenchmarkPublishQoS0(b *testing.B) { benchmarkPublish(b, 0) }
func BenchmarkPublishQoS1(b *testing.B) { benchmarkPublish(b, 1) }

func benchmarkPublish(b *testing.B, qos byte) {
	br := newBroker(b)
	defer br.close()
	c := run(b, cloud.Config{ClientID: "a", Dial: br.dial})
	defer c.stop(b)
	c.connected(b, true)
	m := cloud.Message{Topic: "bench/topic", Payload: []byte(payload64), QoS: qos}
	room := make(chan struct{}, cloud.DefaultMaxInFlight)
	done := func(err error) {
		if err != nil {
			b.Error(err)
		}
		<-room
	}
	b.ReportAllocs()
	for b.Loop() {
		room <- struct{}{}
		if err := c.PublishFunc(m, done); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(room) {
		room <- struct{}{}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func BenchmarkReceiveQoS0(b *testing.B) { benchmarkReceive(b, 0) }
func BenchmarkReceiveQoS1(b *testing.B) { benchmarkReceive(b, 1) }

func benchmarkReceive(b *testing.B, qos byte) {
	br := newBroker(b)
	defer br.close()
	room := make(chan struct{}, 64)
	c := run(b, cloud.Config{ClientID: "a", Dial: br.dial, OnMessage: func(m *cloud.Message) {
		m.Ack()
		<-room
	}})
	defer c.stop(b)
	c.connected(b, true)
	if err := c.Subscribe(b.Context(), cloud.Subscription{Filter: "bench/#", QoS: qos}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		room <- struct{}{}
		if err := br.Publish("bench/topic", []byte(payload64), false, qos); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(room) {
		room <- struct{}{}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkIdle measures the memory of connections that do nothing: heap and
// stacks. What their servers take, a goroutine each that has answered CONNECT,
// and the pipes, is measured before and subtracted.
func BenchmarkIdle(b *testing.B) {
	const count = 10_000
	for b.Loop() {
		dial, wait := scripted(func(conn net.Conn) {
			if _, _, err := readPacket(conn); err == nil {
				conn.Write(connack)
				io.Copy(io.Discard, conn)
			}
		})
		heap0, stack0 := memory(b, count, func(context.Context, int) func() {
			conn, _ := dial(b.Context(), "", "")
			conn.Write([]byte{0x10, 0})
			io.ReadFull(conn, make([]byte, 4))
			return func() { conn.Close() }
		})
		wait()
		heap, stack := memory(b, count, func(ctx context.Context, i int) func() {
			up, ended := make(chan struct{}), make(chan struct{})
			c, err := cloud.New(cloud.Config{
				Servers: []string{"broker.example"}, ClientID: fmt.Sprint("device-", i), Dial: dial,
				OnMessage: func(*cloud.Message) {},
				OnStatus: func(s cloud.Status) {
					if s.Connected {
						close(up)
					}
				},
			})
			if err != nil {
				b.Fatal(err)
			}
			go func() { defer close(ended); c.Run(ctx) }()
			<-up
			return func() { <-ended }
		})
		wait()
		b.ReportMetric(float64(heap-heap0)/count/1024, "KiB-heap/conn")
		b.ReportMetric(float64(stack-stack0)/count/1024, "KiB-stack/conn")
	}
}

// memory returns how much heap and stack count things take. ctx ends before the
// things are stopped.
func memory(b *testing.B, count int, start func(ctx context.Context, i int) (stop func())) (heap, stack int64) {
	ctx, cancel := context.WithCancel(b.Context())
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	stops := make([]func(), count)
	for i := range stops {
		stops[i] = start(ctx, i)
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	cancel()
	for _, stop := range stops {
		stop()
	}
	return int64(after.HeapAlloc - before.HeapAlloc), int64(after.StackInuse - before.StackInuse)
}
