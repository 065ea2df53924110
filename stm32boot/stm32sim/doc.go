// Package stm32sim is an STM32 without hardware: its ROM boot loader on a serial
// line, its flash with the physics and the times of the chip, its pins and its
// power, and everything that can go wrong. It is made for tests of programs that
// flash such chips: those of package stm32boot, of this module, of anybody.
//
// # A target on a line
//
// [New] makes a [Target] of any chip in the table of package stm32boot, and
// [Target.Connect] puts it at the end of a [Line] in memory. The other end is the
// port of the program under test.
//
//	target, err := stm32sim.New(stm32sim.Options{ID: 0x431, ECC: true})
//	line, stop := target.Connect(stm32sim.LineOptions{Baud: 115200, Seed: 7, ToTarget: stm32sim.Uniform(1e-4)})
//	defer stop()
//	client, err := stm32boot.Connect(ctx, stm32boot.Config{
//		Port: line.Client(), Rate: line.SetBaud, Reset: target.Reset(), Boot0: target.Boot0(),
//	})
//
// All time is that of package time: inside a testing/synctest bubble minutes of
// erasing take no time, every run is the same, and to write and verify 64 KiB at
// 115200 baud costs some 20 ms of processor. Outside it is real.
//
// [Target.Run] serves any other port: the master of a pseudo terminal for tools
// like stm32flash (which needs -m 8n1 there), a TCP connection, one end of another
// line. It returns when the port ends; the target stays as it is, and the next Run
// goes on with another port.
//
// # The loader
//
// The ROM waits for the first 0x7F, ignores everything before it and then speaks
// the protocol of AN3155: Get, Get Version, Get ID, Read, Go, Write, Erase or
// Extended Erase with its bank codes, write protection and readout protection
// with the resets that follow, and from version 3.3 on Get Checksum as stm32flash
// uses it. Refused are, with NACK: addresses without memory, the loader's own RAM,
// flash addresses and lengths that are not multiples of 4, lists with a page that
// does not exist (then nothing is erased), mass erase on L0 and L1 and there more
// than 511 pages, and what readout protection forbids. Writes and erases of write
// protected pages are acknowledged and do nothing; mass erase does nothing if a
// page is protected.
//
// The quirks of the table are there: the surplus ACK of L412 before the first
// answer; blocks of H72x that read wrong right after they were written; F4 and
// L0, where only whole blocks can be read around the flash-size register.
//
// System memory reads 00, but the flash-size register and the loader's id byte
// have their values; Options.Memory adds more. Option bytes are plain memory with
// one meaning, the level of readout protection; a write erases the rest of their
// area and resets the chip. A program in RAM that is started with Go and has the
// constants of a system reset in it resets the chip.
//
// # Flash
//
// Programming moves bits away from the erased value, which is 00 on L0 and L1 and
// FF elsewhere. Options.ECC adds the consequences of programming a word again.
// [Times] are zero unless set; [RealTimes] are those of the chip. A reset in the
// middle leaves the words that were programmed by then, and a page that was being
// erased in between.
//
// # Faults
//
// A [Fault] hits the commands of one kind from the n-th on, k times: it refuses,
// drops or delays an answer, sends BUSY or garbage, corrupts a byte of flash,
// hangs or resets the chip. A [PowerCut] takes the power with the n-th byte
// received, sent or programmed or in the n-th erase of a page. A Line loses,
// alters, doubles and adds bytes by probability and seed. [Target.Poke] changes
// memory behind the loader's back.
//
// # Pins and applications
//
// [Target.Reset] and [Target.Boot0] are the pins, by their level at the chip.
// While BOOT0 is low at a reset, and after Go, Options.Application runs: it has
// the port, and [Target.Flash] is its firmware.
//
// # Concurrency and limits
//
// All methods are safe for concurrent use. Callbacks run on the goroutine of Run.
// A target keeps one goroutine while it runs and none otherwise.
//
//	write protection sectors        512
//	bytes waiting on a line         64 KiB each way; see Line
//	longest list of Extended Erase  what its count can say: 128 KiB
//
// Not emulated: the bus interfaces other than the serial line, the one-byte
// receiver that loses bytes which do not wait for an answer (Stats.Early counts
// them), parity, the option bytes' other meanings, BOOT0 disabled by them, the
// flag of an empty flash, TrustZone, the silence of loaders before 3.1 about
// addresses without memory.
//
// # Sources
//
// AN3155 and AN2606 by ST, stm32flash 0.7 and stm32loader, recordings of
// stm32flash, and the data sheets of the families.
package stm32sim
