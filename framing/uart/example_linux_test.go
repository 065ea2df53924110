package uart_test

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
	"golang.org/x/sys/unix"
)

// Ask a device a question and wait a second for the answer.
func Example() {
	path, unplug := virtualDevice() // on a real machine: /dev/ttyUSB0
	defer unplug()

	port, err := uart.Open(path, nil) // 115200 8N1
	if err != nil {
		log.Fatal(err)
	}
	defer port.Close()

	if _, err := port.Write([]byte("PING\n")); err != nil {
		log.Fatal(err)
	}
	if err := port.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		log.Fatal(err)
	}
	line, err := bufio.NewReader(port).ReadString('\n')
	switch {
	case err == nil:
		fmt.Print(line)
	case errors.Is(err, os.ErrDeadlineExceeded):
		fmt.Println("no answer")
	case errors.Is(err, uart.ErrUnplugged):
		fmt.Println("the cable is gone")
	default:
		log.Fatal(err)
	}
	// Output: PONG
}

// virtualDevice makes a pty whose far side answers one line with PONG.
func virtualDevice() (path string, unplug func()) {
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		log.Fatal(err)
	}
	raw, err := far.SyscallConn()
	if err != nil {
		log.Fatal(err)
	}
	var number int
	_ = raw.Control(func(fd uintptr) {
		_ = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		number, _ = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
	})
	path = "/dev/pts/" + strconv.Itoa(number)
	keep, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := bufio.NewReader(far).ReadString('\n'); err == nil {
			_, _ = far.Write([]byte("PONG\n"))
		}
	}()
	return path, func() {
		_ = far.Close()
		_ = keep.Close()
		<-ended
	}
}
