package main

import (
	"context"
	"io"
	"net"
	"sync"
)

// maxVisitors is how many TCP connections the broker of the demo has at a time;
// more wait until one ends.
const maxVisitors = 64

// door lets programs outside of the process join a broker in memory.
type door struct {
	listener net.Listener
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// openDoor listens at a TCP address.
func openDoor(ctx context.Context, address string, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*door, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &door{l, dial}, nil
}

// address returns HOST:PORT.
func (d *door) address() string { return d.listener.Addr().String() }

// run serves until ctx ends or no more visitors can be accepted; then it closes
// every connection, and the listener.
func (d *door) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var visitors sync.WaitGroup
	defer visitors.Wait()
	defer cancel()
	defer whenDone(ctx, func() { d.listener.Close() })()
	places := make(chan struct{}, maxVisitors)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		outside, err := d.listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		visitors.Go(func() {
			defer func() { <-places }()
			d.join(ctx, outside)
		})
	}
}

// join carries bytes between a visitor and the broker until either hangs up.
func (d *door) join(ctx context.Context, outside net.Conn) {
	defer outside.Close()
	inside, err := d.dial(ctx, "tcp", d.address())
	if err != nil {
		return // the broker is down: the visitor sees its connection closed
	}
	hangUp := func() {
		inside.Close()
		outside.Close()
	}
	defer whenDone(ctx, hangUp)()
	var ways sync.WaitGroup
	ways.Go(func() {
		defer hangUp()
		io.Copy(inside, outside)
	})
	ways.Go(func() {
		defer hangUp()
		io.Copy(outside, inside)
	})
	ways.Wait()
}
