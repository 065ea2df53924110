package stm32sim_test

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// A target on a line is asked who it is.
func Example() {
	target, err := stm32sim.New(stm32sim.Options{ID: 0x431})
	if err != nil {
		fmt.Println(err)
		return
	}
	line, stop := target.Connect(stm32sim.LineOptions{Baud: 115200})
	defer stop()

	port := line.Client()
	ask := func(n int, bytes ...byte) {
		answer := make([]byte, n)
		_, _ = port.Write(bytes)
		_, _ = io.ReadFull(port, answer)
		fmt.Printf("% X: % X\n", bytes, answer)
	}
	ask(1, stm32boot.Init)
	ask(5, stm32boot.CmdGetID, 0xFF^stm32boot.CmdGetID)
	// Output:
	// 7F: 79
	// 02 FD: 79 01 04 31 79
}

// The application says which firmware the flash holds.
func ExampleOptions_application() {
	target, err := stm32sim.New(stm32sim.Options{
		Boot0Low: true,
		Image:    []byte("2.0"),
		Application: func(ctx context.Context, t *stm32sim.Target, port stm32sim.Port) {
			fmt.Fprintf(port, "firmware %s\n", t.Flash()[:3])
			<-ctx.Done()
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	line, stop := target.Connect(stm32sim.LineOptions{})
	defer stop()

	text, err := bufio.NewReader(line.Client()).ReadString('\n')
	fmt.Print(text, err, "\n")
	// Output:
	// firmware 2.0
	// <nil>
}
