// Package stm32boot puts firmware into STM32 chips through the boot loader in
// their ROM, over a serial line (ST's AN3155). It plans what to erase and write,
// survives noise, and leaves a target that runs or can be flashed again. Below that
// it has every command of the protocol.
//
// # Flash an image
//
// A [Config] says how the target is reached; [Flash] does the rest: it connects,
// plans, erases, writes, reads back, and starts the application.
//
//	res, err := stm32boot.Flash(ctx, stm32boot.Config{
//		Port:  port,                                           // 8E1
//		Rate:  func(baud int) error { return setMode(baud) },  // may be nil
//		Reset: reset, Boot0: boot0,                            // may be nil
//	}, stm32boot.Image{{Addr: 0x08000000, Data: firmware}}, stm32boot.FlashOptions{})
//
// [PlanFlash] shows beforehand, without a target, what would be done and refuses
// what cannot be. [FlashOptions] chooses what is erased, how it is verified, whether
// only changed pages are written, and keeps a [Journal], by which a flashing that
// was cut off goes on. Of the pages it touches the first is erased first and
// written last: a target on which it was interrupted has a blank first page and
// does not start half an application.
//
// # Talk to the boot loader
//
// [Connect] gives a [Client], whose methods are the commands.
//
//	c, err := stm32boot.Connect(ctx, cfg)
//	if err != nil {
//		return err
//	}
//	defer c.Close(ctx) // the application starts, also when ctx is cancelled
//	err = c.Read(ctx, 0x08000000, p)
//
// Read, Write and Erase split what they are given into commands. They trust the
// target: Write does not read back, and an erase of a write protected page
// succeeds on some chips without doing anything. The protection commands make the
// chip restart; the client is connected again when they return.
//
// # Lines
//
// The ROM starts when BOOT0 is high at the end of a reset, and measures the rate by
// the first byte that it receives. With Reset and Boot0 wired, or
// [Config.Enter] set, the client does all that by itself, and recovery can use it.
// Without them the target must be in its ROM already; it may be synchronised or
// in the middle of a command. Some chips ignore the BOOT0 pin until an option
// bit is changed: [Boot0PinOff], [Boot0OptionBit]. [Client.SoftReset] starts
// the application where Reset is not wired.
//
// Lines through the control outputs of a USB adapter are inverted:
// set InvertReset and InvertBoot0.
//
// # Chips
//
// [Lookup] and [Chips] give the table of 95 product ids: pages, RAM, option
// bytes, erased value, flash word, and what is peculiar. An id stands for chips of
// several sizes; Connect reads the size from the chip and trims the table's.
// If that fails, because the chip is readout protected, [Client.SizeKnown]
// is false. For a chip that is not in the table describe it in [Config.Chip];
// an empty Chip there makes any chip accepted, and only EraseAll, Read and Write
// are of use then.
//
// Where an option bit selects between one bank and two, the table's first layout
// counts unless [Config.Alternate] is set. Small members of families with two
// banks may number the pages of the second bank as the large ones do; that is
// not known, and only reading back shows it.
//
// # Errors
//
// A refusal is a [*NackError], silence a [*TimeoutError], anything else that is
// not allowed a [*ReplyError]; each says in which command, at which stage of it and
// at which address. [*PortError] is an error of the port or of a pin, with the
// cause inside. The conditions ErrNoSync, ErrReadProtected, ErrAddress and so on
// are found by errors.Is.
//
// After an error the client may be used further. It knows how its last command
// ended and brings the exchange back in step before the next one: it finds out
// by harmless bytes when the target waits for a command again, and resets it
// if it does not answer. After an erase, a special command or a write protect that
// ended midway no such bytes are sent, as they could be taken for numbers of
// pages: then only a reset helps, and without a reset line the error is
// ErrNoReset. The commands do not repeat themselves; Flash does.
//
// # What the protocol cannot do
//
// Its checksum is the XOR of all bytes. It misses pairs of errors, and what is
// read, the product id included, has none. The client reads what identifies a
// chip until it has come twice the same. The lists of pages to erase are chosen
// such that a byte inserted by noise does not name other pages; on chips with more
// than 256 pages a few such cases remain. A data frame whose length byte is
// damaged leaves its rest to be taken for commands: data that look like one that
// locks or wipes the chip at once begin a block of their own, if the flash word
// allows that. Flash returns ErrCollateral when it finds that something was
// erased all the same. Verify, and on lines that are bad go slower.
//
// # Limits
//
// Time limits of an answer, to which twice the time on the line and
// [Config.Latency] are added:
//
//	command, address, length     0.5 s
//	data that is read            0.2 s
//	end of a write               2 s, and again after each BUSY, at most 2 minutes
//	erase of a page              0.2 s, or 8 s for each 128 KiB if that is more
//	erase of the whole chip      60 s, also Readout Unprotect
//	0x7F                         0.5 s, sent three times, twice at each rate
//
// # Concurrency
//
// A Client is for one goroutine at a time. It has no goroutines; callbacks run on
// the goroutine of the caller. Every method ends when its context does: within
// 50 ms while it waits for the target, and after the bytes being written, of which
// there are at most 1025. A port whose Write hangs and that has no SetWriteDeadline
// hangs the client.
//
// Sources: ST AN3155, AN2606 and AN2662 in excerpts, the sources of stm32flash 0.7,
// stm32loader and ST's open boot loader, and recorded sessions of stm32flash.
package stm32boot
