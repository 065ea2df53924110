package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// maxPinClients is how many programs may drive the pins at a time; more wait.
const maxPinClients = 8

// maxPinLine is how long a line of theirs may be.
const maxPinLine = 64

// pinDoor lets programs drive the pins of a virtual chip, through a UNIX socket.
type pinDoor struct{ net.Listener }

// listenPins makes the socket. One that a program has left behind is replaced.
func listenPins(ctx context.Context, path string) (pinDoor, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(ctx, path) {
		if err = os.Remove(path); err == nil {
			l, err = new(net.ListenConfig).Listen(ctx, "unix", path)
		}
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w (another program has it, or it is a file: give another path)", err)
	}
	return pinDoor{l}, err
}

// abandoned reports whether nobody listens at a socket.
func abandoned(ctx context.Context, path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// serve serves until ctx ends.
func (d pinDoor) serve(ctx context.Context, target *stm32sim.Target) {
	var clients sync.WaitGroup
	defer clients.Wait()
	defer whenDone(ctx, func() { d.Close() })()
	places := make(chan struct{}, maxPinClients)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := d.Accept()
		if err != nil {
			return
		}
		clients.Go(func() {
			defer func() { <-places }()
			servePins(ctx, c, target)
		})
	}
}

// servePins obeys the lines of a client.
func servePins(ctx context.Context, c net.Conn, target *stm32sim.Target) {
	defer c.Close()
	defer whenDone(ctx, func() { c.Close() })()
	lines := bufio.NewScanner(c)
	lines.Buffer(make([]byte, maxPinLine), maxPinLine)
	for lines.Scan() {
		answer := "ok"
		if err := drive(target, lines.Text()); err != nil {
			answer = "error: " + err.Error()
		}
		if _, err := fmt.Fprintln(c, answer); err != nil {
			return
		}
	}
}

// drive obeys one line, such as "rst 0".
func drive(target *stm32sim.Target, line string) error {
	for name, pin := range map[string]stm32boot.Pin{pinReset: target.Reset(), pinBoot0: target.Boot0()} {
		switch line {
		case name + " 0":
			return pin.Set(false)
		case name + " 1":
			return pin.Set(true)
		}
	}
	return errors.New("want rst 0, rst 1, boot0 0 or boot0 1")
}
