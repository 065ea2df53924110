package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const demoHelp = `Runs everything in one process: a module, an MQTT broker, a shadow service, and two
hosts on UARTs of 115200 baud. One host behaves as firmware of 2018 does, to the
byte; the other one is a host of this library.

It shows the frames that cross the UARTs, takes you on a tour, and then goes on
until Ctrl-C. The broker also listens on TCP, so that other programs can join.

With --once it takes the tour alone and prints a line for each step, with what was
looked at: never what the module says of itself, but what arrived at the other
end. The exit code is 0 only if all of it held.`

// demo is everything in one process.
type demo struct {
	*program
	once   bool
	frames bool
	listen string
}

// demoCommand is ccm demo.
func (p *program) demoCommand() *cobra.Command {
	d := &demo{program: p}
	cmd := &cobra.Command{
		Use: "demo", Short: "Run everything in one process, and take a tour of it", Long: demoHelp,
		Example: "  ccm demo\n  ccm demo --once",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&d.once, "once", false, "take the tour and end; the exit code tells whether all of it held")
	cmd.Flags().BoolVar(&d.frames, "frames", false, "show the frames with --once too")
	cmd.Flags().StringVar(&d.listen, "listen", "127.0.0.1:0", "`address` of the broker, which lets everybody in; port 0 is any that is free")
	return cmd
}

// run builds everything, takes the tour, and takes everything down.
func (d *demo) run(parent context.Context) error {
	begun := time.Now()
	r, err := newRig(parent, d)
	if err != nil {
		return err
	}
	defer r.stop()
	if !d.once || d.frames {
		d.welcome(r)
	}
	if err = r.start(); err == nil {
		err = r.tour(parent)
	}
	switch {
	case parent.Err() != nil && d.once:
		return errInterrupted
	case parent.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	d.out.printf("%s\n", d.paint(green, fmt.Sprintf("all %d steps held, in %.1f s", len(steps), time.Since(begun).Seconds())))
	if !d.once {
		d.invite(r)
		<-parent.Done()
	}
	return nil
}

// welcome says what there is.
func (d *demo) welcome(r *rig) {
	d.out.printf(`A module, a broker, a shadow service and two hosts, in this process:

  broker   mqtt://%s
  stock    a host as of 2018 (mjson), 115200 baud, takes frames of 255 bytes
  modern   a host of this library, 115200 baud, wants a CRC on every frame

What arrives at the ends of the UARTs:
`, r.door.address())
}

// invite says what one can try.
func (d *demo) invite(r *rig) {
	host, port, _ := net.SplitHostPort(r.door.address())
	url := "mqtt://" + r.door.address() + "/" + deviceID
	d.out.printf(`
Everything goes on until Ctrl-C. In another terminal, call a host:

  %[1]s call --port %[2]s Sum '[2,3]'
  %[1]s call --port %[2]s modern/Sum '[2,3]'

switch it on or off, by its shadow:

  mosquitto_pub -h %[3]s -p %[4]s -t '$aws/things/%[5]s/shadow/update' -m '{"state":{"desired":{"on":true}}}'

send it a message, or watch all of it:

  mosquitto_pub -h %[3]s -p %[4]s -t %[6]s/hello -m 'how are you'
  %[1]s monitor --mqtt %[2]s

`, self(), url, host, port, deviceID, downTopic)
}

// self returns the command to type for this program.
func self() string {
	if path, err := os.Executable(); err == nil && strings.Contains(path, "go-build") {
		return "go run ./examples/ccm"
	}
	return os.Args[0]
}
