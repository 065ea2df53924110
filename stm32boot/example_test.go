package stm32boot_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// wiredTarget is an emulated chip and the way to it.
func wiredTarget(o stm32sim.Options) (cfg stm32boot.Config, target *stm32sim.Target, stop func()) {
	target, err := stm32sim.New(o)
	if err != nil {
		panic(err)
	}
	line, stop := target.Connect(stm32sim.LineOptions{})
	return stm32boot.Config{
		Port: line.Client(), Reset: target.Reset(), Boot0: target.Boot0(),
		ResetPulse: time.Millisecond, BootDelay: time.Millisecond,
	}, target, stop
}

// The commands of the boot loader, one by one.
func ExampleConnect() {
	cfg, _, stop := wiredTarget(stm32sim.Options{ID: 0x410})
	defer stop()
	ctx := context.Background()

	c, err := stm32boot.Connect(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx)
	chip := c.Chip()
	fmt.Printf("%s, %d pages, protocol %d.%d\n", chip, chip.PageCount(), c.Version()>>4, c.Version()&15)

	page, _, _, _ := chip.Page(0x08001C00)
	if err := c.Erase(ctx, page); err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Write(ctx, 0x08001C00, []byte("hello")); err != nil {
		fmt.Println(err)
		return
	}
	p := make([]byte, 8)
	err = c.Read(ctx, 0x08001C00, p)
	fmt.Printf("%q %v\n", p, err)

	err = c.Write(ctx, 0x08001C02, []byte("misaligned"))
	fmt.Println(err, errors.Is(err, stm32boot.ErrAddress))
	// Output:
	// 0x410 F1 F101/F102/F103 Medium-density, 128 pages, protocol 2.2
	// "hello\xff\xff\xff" <nil>
	// stm32boot: bad address: write of 10 bytes at 0x08001C02: not a multiple of 4 true
}

// A chip that is readout protected says so; unprotecting it erases everything.
func ExampleClient_ReadoutUnprotect() {
	cfg, target, stop := wiredTarget(stm32sim.Options{ID: 0x415, RDP: 1, Image: []byte("secret")})
	defer stop()
	ctx := context.Background()

	c, err := stm32boot.Connect(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx)
	p := make([]byte, 6)
	err = c.Read(ctx, 0x08000000, p)
	fmt.Println(err)
	if errors.Is(err, stm32boot.ErrReadProtected) {
		fmt.Println(c.ReadoutUnprotect(ctx))
	}
	err = c.Read(ctx, 0x08000000, p)
	fmt.Printf("% X %v, level %d\n", p, err, target.RDP())
	// Output:
	// stm32boot: read 0x08000000: command stage: refused (NACK): target is readout protected
	// <nil>
	// FF FF FF FF FF FF <nil>, level 0
}

// What is known of a chip.
func ExampleLookup() {
	chip, ok := stm32boot.Lookup(0x431)
	fmt.Println(chip, ok)
	fmt.Printf("%d KiB of flash, writes of %d bytes, erased is 0x%02X\n", chip.FlashSize>>10, chip.WriteAlign, chip.Erased)
	for p := range chip.Pages() {
		fmt.Printf("%d: 0x%08X, %d KiB\n", p.Number, p.Addr, p.Size>>10)
	}
	small := chip.Trim(256 << 10)
	fmt.Println("a smaller one has", small.PageCount())
	// Output:
	// 0x431 F4 F411xC/E true
	// 512 KiB of flash, writes of 4 bytes, erased is 0xFF
	// 0: 0x08000000, 16 KiB
	// 1: 0x08004000, 16 KiB
	// 2: 0x08008000, 16 KiB
	// 3: 0x0800C000, 16 KiB
	// 4: 0x08010000, 64 KiB
	// 5: 0x08020000, 128 KiB
	// 6: 0x08040000, 128 KiB
	// 7: 0x08060000, 128 KiB
	// a smaller one has 6
}
