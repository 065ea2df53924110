package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/spf13/cobra"
)

const flashHelp = `Puts firmware into an STM32 through the boot loader in its ROM. FILE is a bundle (zip),
an ELF file, Intel HEX, or plain bytes for the address --addr. A bundle is verified
whole before the port is opened.

The chip runs its boot loader after a reset with BOOT0 high. Wire both pins, and all
goes by itself:

  --rst dtr     NRST is joined to the output DTR of the serial adapter
  --rst '!dtr'  the same with an inverter, such as a transistor, on the way
  --boot0 rts   BOOT0 is joined to RTS; '!rts' with an inverter
  gpio:0/17     a line of a GPIO chip of this machine (Linux): CHIP/LINE, where CHIP
                is 0, gpiochip0 or a path, and LINE a number or a name. NRST is
                driven open-drain; lines are given back as they were
  ctl:PATH      the pins of ccm sim stm32 --ctl PATH

Without --rst, set BOOT0 high and reset the chip by hand before.

Only the pages that the image touches are erased, and all that was written is read
back, as the boot loader's checksums miss errors: --no-verify saves half of the time
on a line that is trusted. --changed-only leaves pages alone that are right already;
it reads them to know, but with --state FILE knows them from the last time. With
--state an interrupted flashing also goes on where it was. The first page is erased
first and written last, so that a chip never starts half a firmware.

Without FILE: --info, --read, --erase, --unprotect and --go do what they say.

ccm --help lists the forms of an ENDPOINT. The line is 8 data bits with even parity;
at a TCP endpoint that is for the other end to set, and a pseudo terminal has none.`

// flashFlags are the flags of ccm flash.
type flashFlags struct {
	rst, boot0                 string
	bauds                      []int
	chipText, board            string
	addr, size, start          number
	changedOnly, preserve      bool
	verify, noVerify, checksum bool
	erase, unprotect           bool
	info, dryRun, verbose      bool
	read, state                string
	demands                    policyFlags
	latency                    time.Duration
}

// flasher puts firmware into a chip.
type flasher struct {
	*program
	flashFlags
	at         endpoint
	file       string
	reset, sel wiring // the pins NRST and BOOT0
	chip       chipChoice
	firmware   firmware // of file

	set func(flag string) bool // whether a flag was given
	bar progressBar
}

// flashCommand is ccm flash.
func (p *program) flashCommand() *cobra.Command {
	f := &flasher{program: p}
	cmd := &cobra.Command{
		Use: "flash ENDPOINT [FILE]", Short: "Put firmware into an STM32 through its ROM boot loader", Long: flashHelp,
		Example: "  ccm flash /dev/ttyUSB0 --rst dtr --boot0 rts firmware.elf\n" +
			"  ccm flash /dev/ttyS1 --rst gpio:0/17 --boot0 gpio:0/27 fw.zip\n" +
			"  ccm flash /dev/ttyUSB0 --changed-only --state board7.state fw.zip\n" +
			"  ccm flash /dev/ttyUSB0 --info --read backup.bin",
		Args: between(1, "ENDPOINT", "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.configure(cmd, args); err != nil {
				return err
			}
			return f.run(cmd.Context())
		},
	}
	f.add(cmd)
	return cmd
}

// add adds the flags to a command.
func (f *flashFlags) add(cmd *cobra.Command) {
	s := cmd.Flags()
	s.StringVar(&f.rst, "rst", "", "how NRST is `wired`: dtr, rts, gpio:CHIP/LINE or ctl:PATH; ! in front if by an inverter")
	s.StringVar(&f.boot0, "boot0", "", "how BOOT0 is `wired`, as --rst")
	s.IntSliceVar(&f.bauds, "baud", nil, "`rates` to try, from the left; trouble steps to the right (default 115200, and 57600,19200 with --rst)")
	s.StringVar(&f.chipText, "chip", "", "product `id` that the chip must have, or the geometry of an unknown one: size=64K,page=1K[,start=0x08000000,align=8,erased=0xff]")
	s.Var(&f.addr, "addr", "where plain bytes go, and where --read begins (default: begin of the flash)")
	s.Var(&f.size, "size", "how many bytes --read reads (default: up to the end of the flash)")
	s.Var(&f.start, "go", "start the program at this address at the end")
	s.BoolVar(&f.changedOnly, "changed-only", false, "leave pages alone that are right already")
	s.BoolVar(&f.preserve, "preserve", false, "keep what else is in the pages that are erased")
	s.BoolVar(&f.verify, "verify", true, "read back what was written")
	s.BoolVar(&f.noVerify, "no-verify", false, "do not read back what was written")
	s.BoolVar(&f.checksum, "checksum", false, "verify by Get Checksum where the boot loader has it")
	s.BoolVar(&f.erase, "erase", false, "erase all of the flash; before FILE, if there is one")
	s.BoolVar(&f.unprotect, "unprotect", false, "remove readout and write protection, which ERASES ALL")
	s.BoolVar(&f.info, "info", false, "print what the chip is")
	s.StringVar(&f.read, "read", "", "read the flash into this `file`")
	s.StringVar(&f.state, "state", "", "`file` that knows what the chip holds and how far a flashing has come")
	s.StringVar(&f.board, "board", "", "`name` of the board, so that the --state of another is not believed")
	s.BoolVar(&f.dryRun, "dry-run", false, "print what would be done with FILE, and do not do it")
	s.DurationVar(&f.latency, "latency", 0, "`time` to add to all time limits (default 100ms for tcp and unix)")
	s.BoolVar(&f.verbose, "verbose", false, "tell of every disturbance")
	f.demands.add(cmd)
}

// configure reads arguments and flags, and FILE.
func (f *flasher) configure(cmd *cobra.Command, args []string) (err error) {
	f.set = cmd.Flags().Changed
	if f.at, err = parseEndpoint(args[0]); err != nil {
		return usage(cmd, "%v", err)
	}
	if len(args) > 1 {
		f.file = args[1]
	}
	if err := f.check(cmd); err != nil {
		return err
	}
	if err := f.wire(cmd); err != nil {
		return err
	}
	if err := f.checkOutputs(); err != nil {
		return err
	}
	if f.chip, err = parseChip(f.chipText); err != nil {
		return usage(cmd, "--chip: %v", err)
	}
	policy, err := f.demands.policy(cmd)
	if err != nil {
		return err
	}
	if f.file == "" {
		return nil
	}
	f.firmware, err = loadFirmware(f.file, uint32(f.addr), f.chip.limit(policy))
	if err != nil {
		return withCure(err, bundleCure(err))
	}
	return f.checkFile(cmd)
}

// check checks the flags.
func (f *flasher) check(cmd *cobra.Command) error {
	if f.file == "" {
		if !f.info && f.read == "" && !f.erase && !f.unprotect && !f.set("go") {
			return usage(cmd, "FILE is missing (or --info, --read, --erase, --unprotect, --go)")
		}
		for _, flag := range append(strings.Fields("changed-only preserve verify no-verify checksum state board dry-run"), policyNames...) {
			if f.set(flag) {
				return usage(cmd, "--%s needs a FILE", flag)
			}
		}
	}
	switch {
	case f.file != "" && f.read != "":
		return usage(cmd, "FILE and --read do not go together")
	case f.set("size") && f.read == "":
		return usage(cmd, "--size is for --read")
	case f.erase && f.read != "":
		return usage(cmd, "--erase and --read do not go together")
	case f.erase && (f.changedOnly || f.preserve):
		return usage(cmd, "--erase leaves nothing to preserve, and nothing unchanged")
	case f.noVerify && f.verify && f.set("verify"):
		return usage(cmd, "give --verify or --no-verify, not both")
	case f.checksum && (f.noVerify || !f.verify):
		return usage(cmd, "--checksum verifies: it does not go with --no-verify")
	case f.dryRun && (f.erase || f.unprotect || f.set("go")):
		return usage(cmd, "--dry-run changes nothing: it does not go with --erase, --unprotect, --go")
	case f.board != "" && f.state == "":
		return usage(cmd, "--board is for --state")
	case len(f.board) > 255:
		return usage(cmd, "--board: at most 255 bytes")
	case f.latency < 0:
		return usage(cmd, "--latency must not be negative")
	}
	for _, baud := range f.bauds {
		if baud <= 0 {
			return usage(cmd, "--baud must be positive numbers")
		}
	}
	if f.set("baud") && f.at.network != "serial" {
		return usage(cmd, "--baud is for serial ports, not for %s", f.at)
	}
	return nil
}

// checkFile checks flags against what FILE is.
func (f *flasher) checkFile(cmd *cobra.Command) error {
	if f.firmware.kind == "plain" && f.addr%4 != 0 {
		return usage(cmd, "--addr 0x%08X: the boot loader writes whole words, give a multiple of 4", uint32(f.addr))
	}
	if f.firmware.kind != "plain" && f.set("addr") {
		return usage(cmd, "--addr is for plain bytes; a file of type %s has its own addresses", f.firmware.kind)
	}
	for _, flag := range policyNames {
		if f.firmware.kind != "bundle" && f.set(flag) {
			return usage(cmd, "--%s is for bundles, and %s is none", flag, f.file)
		}
	}
	return nil
}

// wire reads the flags of the pins.
func (f *flasher) wire(cmd *cobra.Command) (err error) {
	for _, w := range []struct {
		flag, text string
		to         *wiring
	}{{"rst", f.rst, &f.reset}, {"boot0", f.boot0, &f.sel}} {
		if *w.to, err = parseWiring(w.text); err != nil {
			return usage(cmd, "--%s: %v", w.flag, err)
		}
		if w.to.ofPort() && f.at.network != "serial" {
			return usage(cmd, "--%s %s: %s has no such line", w.flag, w.text, f.at)
		}
	}
	if f.reset.kind != "ctl" && f.reset.wired() && f.reset.kind == f.sel.kind && f.reset.path == f.sel.path {
		return usage(cmd, "--rst and --boot0 cannot be the same line")
	}
	return nil
}

// checkOutputs refuses files that could not be written at the end.
func (f *flasher) checkOutputs() error {
	return errors.Join(canWrite("--read", f.read), canWrite("--state", f.state))
}

// options returns how the image is to be put into the flash.
func (f *flasher) options(j stm32boot.Journal) stm32boot.FlashOptions {
	o := stm32boot.FlashOptions{
		ChangedOnly: f.changedOnly, Preserve: f.preserve, DryRun: f.dryRun,
		Journal: j, UID: f.board, Progress: f.bar.flash,
	}
	switch {
	case f.noVerify || !f.verify:
		o.Verify = stm32boot.VerifyNone
	case f.checksum:
		o.Verify = stm32boot.VerifyChecksum
	}
	if f.erase {
		o.Erase = stm32boot.EraseAll
	}
	return o
}

// seconds returns a duration as it is shown.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
