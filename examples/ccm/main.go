// Ccm is the reference Cloud Communication Module: the module as a daemon, and
// tools for whoever works with one. It is built from the public packages; only its
// files and the pseudo terminals it offers are made by internal ones.
//
//	go run ./examples/ccm demo           everything in one process, and a tour of it
//	go run ./examples/ccm demo --once    only the tour; exit code 0 if all of it held
//
//	go run ./examples/ccm run --id dev-1 --host /dev/ttyUSB0 --mqtt mqtt://broker:1883
//	go run ./examples/ccm call --port /dev/ttyUSB0 Sum '[2,3]'
//	go run ./examples/ccm call --port mqtt://broker/dev-1 Sum '[2,3]'
//	go run ./examples/ccm monitor tcp:127.0.0.1:4000
//	go run ./examples/ccm doctor --scan /dev/ttyUSB0
//
//	go run ./examples/ccm bundle create -o fw.zip --platform ccm_host host_fw:type=STM32,src=fw.bin,addr=0x08000000
//	go run ./examples/ccm flash /dev/ttyUSB0 fw.zip
//	go run ./examples/ccm sim stm32
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

const about = `The reference Cloud Communication Module (CCM): it joins microcontrollers that
speak JSON-RPC over a UART to an MQTT broker and a device shadow.

An ENDPOINT is a way to a host, or to whatever speaks the same protocol:

  serial:/dev/ttyUSB0?baud=115200   a serial port; 115200 is the default
  /dev/ttyUSB0                      the same, and any pseudo terminal
  tcp:HOST:PORT                     a TCP server, such as a terminal server
  unix:PATH                         a UNIX socket

The exit code is 0, 1 after an error, and 2 for wrong arguments.`

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signals = append(signals, syscall.SIGHUP) // the terminal has gone; a chip must not stay in its boot loader
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "ccm:", err)
		stop()
		os.Exit(exitCode(err))
	}
}

// run is the program: args are its arguments.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	p := &program{out: &printer{w: out}, log: &printer{w: log}, colour: wantsColour(out)}
	root := p.command()
	root.SetArgs(args)
	root.SetOut(p.out)
	root.SetErr(p.log)
	strictDefaults(root)
	err := root.ExecuteContext(ctx)
	if lost := p.out.failed(); lost != nil {
		return fmt.Errorf("write the output: %w", lost) // whatever else went wrong, nobody saw it
	}
	return err
}

// program is what the commands have in common.
type program struct {
	out, log *printer
	colour   bool // of out
}

// command returns the command line.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use: "ccm", Short: "The reference Cloud Communication Module", Long: about, Version: version(),
		SilenceErrors: true, SilenceUsage: true, // main prints the error
		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages |", ".FlagUsagesWrapped 80 |"))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	root.AddCommand(p.demoCommand(), p.runCommand(), p.callCommand(), p.monitorCommand(), p.doctorCommand(), p.shadowsCommand(),
		p.configCommand(), p.wifiCommand(), p.fsCommand(), p.bundleCommand(), p.flashCommand(), p.simCommand())
	return root
}

// strictDefaults makes wrong arguments of cobra's own commands errors, as they are
// elsewhere. The output of root is set before: its completion command keeps that.
func strictDefaults(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Run = nil
			cmd.RunE = func(_ *cobra.Command, args []string) error {
				about, rest, err := root.Find(args)
				if err != nil || len(rest) > 0 {
					return unknownCommand(about, rest)
				}
				about.InitDefaultHelpFlag()
				return about.Help()
			}
		case "completion":
			cmd.Args = unknownCommand
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range cmd.Commands() {
				shell.Args = exactly()
			}
		}
	}
}

// usageError is about the arguments of a command.
type usageError struct {
	text    string
	command string
}

func (e usageError) Error() string { return e.text + " (see " + e.command + " --help)" }

// usage returns an error about the arguments of cmd.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return usageError{fmt.Sprintf(format, args...), cmd.CommandPath()}
}

// unknownCommand refuses what is no command, and suggests one that looks like it.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return usage(cmd, "unknown command %q, did you mean %s?", args[0], like[0])
	}
	return usage(cmd, "unknown command %q", args[0])
}

// exactly wants as many arguments as there are names.
func exactly(names ...string) cobra.PositionalArgs { return between(len(names), names...) }

// between wants one argument for each of the names, of which the first least must
// be there.
func between(least int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(cmd, "%s is missing", names[len(args)])
		case len(args) > len(names):
			return usage(cmd, "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// exitCode returns what the program ends with.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if _, is := errors.AsType[usageError](err); is {
		return 2
	}
	return 1
}
