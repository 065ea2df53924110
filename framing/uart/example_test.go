package uart_test

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/ccmkit/ccmkit/framing/uart"
)

// The way to tell the reasons apart why a port does not open.
func ExampleOpen() {
	port, err := uart.Open("/dev/ttyUSB77", &uart.Config{Mode: uart.Mode8N1(9600)})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Println("not plugged in")
	case errors.Is(err, uart.ErrBusy):
		fmt.Println("another program has it")
	case errors.Is(err, fs.ErrPermission):
		fmt.Println("is this user in the group dialout?")
	case err != nil:
		fmt.Println(err)
	default:
		_ = port.Close()
	}
	// Output: not plugged in
}

func ExampleMode() {
	fmt.Println(uart.Mode{})
	fmt.Println(uart.Mode8E1(57600))
	fmt.Println(uart.Mode{Baud: 9600, StopBits: uart.StopBits2})
	// Output:
	// 115200 8N1
	// 57600 8E1
	// 9600 8N2
}
