package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/internal/pty"
	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
	"github.com/spf13/cobra"
)

const simHelp = `Virtual hardware, for trying out programs without any.`

const simSTM32Help = `An STM32 in its ROM boot loader, as after a reset with BOOT0 high, at a pseudo
terminal or a TCP address. The first line of the output begins with the ENDPOINT for
other programs. They may come and go; the target stays as it is.

  ccm sim stm32 --ctl /tmp/pins            prints /dev/pts/N ...
  ccm flash /dev/pts/N --rst ctl:/tmp/pins --boot0 ctl:/tmp/pins firmware.bin
  stm32flash -m 8n1 -w firmware.bin -v /dev/pts/N

The pins of the chip are driven through the UNIX socket of --ctl, by lines: rst 0,
rst 1, boot0 0, boot0 1. The answer is ok, or error: and a reason. A reset with BOOT0
low leaves the boot loader; there is no application, what arrives then is lost.

It is infinitely fast unless --baud and --real-time are given.`

// simCommand is ccm sim.
func (p *program) simCommand() *cobra.Command {
	return group("sim", "Virtual hardware", simHelp, p.simSTM32Command())
}

// simulator is a virtual STM32 as a program.
type simulator struct {
	*program
	pty                   bool
	tcp, ctl, image, save string
	chip                  string
	size                  number
	baud, protection      int
	ecc, realTime         bool
	verbose               bool
	target                *stm32sim.Target
}

// simSTM32Command is ccm sim stm32.
func (p *program) simSTM32Command() *cobra.Command {
	s := &simulator{program: p}
	cmd := &cobra.Command{
		Use: "stm32 [--pty | --tcp ADDRESS]", Short: "An STM32 in its ROM boot loader", Long: simSTM32Help, Args: exactly(),
		Example: "  ccm sim stm32\n  ccm sim stm32 --tcp 127.0.0.1:0 --chip 0x431 --baud 115200 --real-time",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.configure(cmd); err != nil {
				return err
			}
			return s.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&s.pty, "pty", false, "serve a pseudo terminal; that is the default")
	f.StringVar(&s.tcp, "tcp", "", "serve this TCP `address`, HOST:PORT; port 0 is a free one")
	f.StringVar(&s.chip, "chip", "0x410", "product `id` of the chip: 0x410 F103, 0x431 F411, 0x415 L476, 0x450 H743 ...")
	f.Var(&s.size, "flash-size", "bytes of flash, for a smaller chip with this id")
	f.StringVar(&s.ctl, "ctl", "", "`path` of a UNIX socket for the pins")
	f.IntVar(&s.baud, "baud", 0, "let each byte take its time at this rate")
	f.BoolVar(&s.realTime, "real-time", false, "let flash take its time")
	f.BoolVar(&s.ecc, "ecc", false, "let flash that is programmed twice go bad, as on chips with ECC")
	f.IntVar(&s.protection, "rdp", 0, "`level` of the readout protection: 0, 1 or 2")
	f.StringVar(&s.image, "image", "", "`file` that is in the flash at first: bin, HEX or ELF")
	f.StringVar(&s.save, "save", "", "`file` to write the flash to at the end")
	f.BoolVar(&s.verbose, "verbose", false, "log what happens in the chip")
	return cmd
}

// configure makes the target.
func (s *simulator) configure(cmd *cobra.Command) error {
	id, err := parseID(s.chip)
	switch {
	case err != nil:
		return usage(cmd, "--chip: %v", err)
	case s.pty && s.tcp != "":
		return usage(cmd, "give --pty or --tcp, not both")
	case s.baud < 0:
		return usage(cmd, "--baud must not be negative")
	case s.protection < 0 || s.protection > 2:
		return usage(cmd, "--rdp: want 0, 1 or 2, not %d", s.protection)
	}
	if err := errors.Join(s.checkAddress(), s.checkSize(id)); err != nil {
		return usage(cmd, "%v", err)
	}
	if err := canWrite("--save", s.save); err != nil {
		return err
	}
	o := stm32sim.Options{ID: id, FlashSize: uint32(s.size), Baud: s.baud, ECC: s.ecc, RDP: s.protection}
	if chip, found := stm32boot.Lookup(id); s.realTime && found {
		o.Times = stm32sim.RealTimes(&chip)
	}
	if s.verbose {
		o.Observer = s.event
	}
	if s.target, err = stm32sim.New(o); err != nil {
		return usage(cmd, "%v", err)
	}
	return s.load()
}

// checkAddress checks the form of --tcp.
func (s *simulator) checkAddress() error {
	if s.tcp == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(s.tcp); err != nil {
		return fmt.Errorf("--tcp: want HOST:PORT, such as 127.0.0.1:0, not %q", s.tcp)
	}
	return nil
}

// checkSize checks that a chip can have --flash-size.
func (s *simulator) checkSize(id uint16) error {
	chip, found := stm32boot.Lookup(id)
	size := uint32(s.size)
	switch trimmed := chip.Trim(size); {
	case !found:
		return fmt.Errorf("--chip: no chip has the id 0x%03X; the ids are in ST's AN2606", id)
	case size > chip.FlashSize:
		return fmt.Errorf("--flash-size: chips with the id 0x%03X have at most %d KiB", id, chip.FlashSize>>10)
	case size > 0 && trimmed.FlashSize != size:
		return fmt.Errorf("--flash-size: %d is no number of whole pages; 0x%03X has %s", size, id, pagesText(chip.Layout))
	}
	return nil
}

// parseID reads the product id of a chip.
func parseID(text string) (uint16, error) {
	id, err := strconv.ParseUint(text, 0, 12)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("want a product id such as 0x410, not %q", text)
	}
	return uint16(id), nil
}

// load puts the image into the flash.
func (s *simulator) load() error {
	if s.image == "" {
		return nil
	}
	f, err := loadFirmware(s.image, s.target.Chip().FlashStart, anywhere(fwbundle.Policy{}))
	if err != nil {
		return err
	}
	for _, part := range f.image {
		data := part.Data
		if data == nil {
			data = bytes.Repeat([]byte{part.Fill}, part.Size)
		}
		if err := s.target.Poke(part.Addr, data); err != nil {
			return fmt.Errorf("%s: %d bytes at 0x%08X: %w (the flash has %d KiB at 0x%08X; --chip is for another)",
				s.image, part.Len(), part.Addr, err, s.target.Chip().FlashSize>>10, s.target.Chip().FlashStart)
		}
	}
	return nil
}

// run runs the target until ctx ends.
func (s *simulator) run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	if s.ctl != "" {
		l, err := listenPins(ctx, s.ctl)
		if err != nil {
			return fmt.Errorf("--ctl: %w", err)
		}
		work.Go(func() { l.serve(ctx, s.target) })
	}
	serve := s.servePTY
	if s.tcp != "" {
		serve = s.serveTCP
	}
	err := serve(ctx)
	if s.save != "" {
		err = errors.Join(err, writeFile(s.save, s.target.Flash(), 0o644))
	}
	return err
}

// announce prints the first line.
func (s *simulator) announce(endpoint string) {
	chip := s.target.Chip()
	s.out.printf("%s  %s, %d KiB, in its boot loader\n", endpoint, chip, chip.FlashSize>>10)
}

// servePTY serves a pseudo terminal.
func (s *simulator) servePTY(ctx context.Context) error {
	t, err := pty.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	s.announce(t.Path)
	return s.target.Run(ctx, t)
}

// serveTCP serves the connections to an address, one after the other.
func (s *simulator) serveTCP(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.tcp)
	if err != nil {
		return err
	}
	defer l.Close()
	defer whenDone(ctx, func() { l.Close() })()
	s.announce("tcp:" + l.Addr().String())
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		err = s.target.Run(ctx, c)
		c.Close()
		if err != nil && err != io.EOF && s.verbose {
			s.log.printf("connection: %v\n", err)
		}
	}
}

// event logs what happens in the chip.
func (s *simulator) event(e stm32sim.Event) {
	var text strings.Builder
	text.WriteString(e.Kind.String())
	switch e.Kind {
	case stm32sim.EventCommand, stm32sim.EventNack:
		text.WriteString(" " + stm32boot.CommandName(e.Command))
	case stm32sim.EventErase:
		fmt.Fprintf(&text, " page %d", e.N)
	case stm32sim.EventProgram, stm32sim.EventIgnored:
		fmt.Fprintf(&text, " %d bytes at 0x%08X", e.N, e.Addr)
	}
	s.log.printf("%s\n", text.String())
}
