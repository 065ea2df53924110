package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/framing"
)

// sky is a broker with a shadow service, on TCP.
type sky struct {
	*ccmtest.Cloud
	address string // HOST:PORT
}

// newSky starts one.
func newSky(t *testing.T) *sky {
	t.Helper()
	return newSkyWith(t, ccmtest.BrokerOptions{})
}

func newSkyWith(t *testing.T, o ccmtest.BrokerOptions) *sky {
	t.Helper()
	c, err := ccmtest.NewCloud(ccmtest.CloudOptions{Broker: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &sky{c, serveBroker(t, c.Broker)}
}

// serveBroker gives a broker an address on TCP.
func serveBroker(t *testing.T, b *ccmtest.Broker) (address string) {
	t.Helper()
	d, err := openDoor(t.Context(), "127.0.0.1:0", b.Dial)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { d.run(ctx) })
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	return d.address()
}

// module runs a module with one stock host at the broker, and returns the host.
func (s *sky) module(t *testing.T, id string) *ccmtest.MCU {
	t.Helper()
	line := ccmtest.NewUART(ccmtest.Line{})
	mcu := ccmtest.NewMCU(ccmtest.MCUOptions{Report: ccmtest.ReportNone})
	m, err := ccm.New(ccm.Config{
		ID: id, Hosts: []ccm.HostConfig{{Open: line.OpenModule}},
		Cloud: &cloud.Config{Servers: []string{"mqtt://127.0.0.1"}, Dial: s.Dial},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { m.Run(ctx) })
	ended.Go(func() { mcu.Run(ctx, line.Host()) })
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	if err := m.Host("").Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for !m.Status().Cloud.Connected {
		time.Sleep(time.Millisecond)
	}
	return mcu
}

// serveHost runs hosts on the connections to a TCP address, and returns that.
func serveHost(t *testing.T, o ccmtest.MCUOptions) (address string) {
	t.Helper()
	return serve(t, func(ctx context.Context, port framing.Port) { ccmtest.NewMCU(o).Run(ctx, port) })
}

// serve has f serve the connections to a TCP address, one after the other.
func serve(t *testing.T, f func(ctx context.Context, port framing.Port)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(ctx, c)
			c.Close()
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		ended.Wait()
	})
	return "tcp:" + l.Addr().String()
}

// try runs the program to its end.
func try(t *testing.T, args ...string) (out, log string, err error) {
	t.Helper()
	var o, l strings.Builder
	err = run(t.Context(), args, &o, &l)
	return o.String(), l.String(), err
}
