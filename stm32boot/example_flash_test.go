package stm32boot_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// Flash an emulated F103, and then a version that differs in one place: only that
// page, and the first one, are written again.
func ExampleFlash() {
	target, err := stm32sim.New(stm32sim.Options{ID: 0x410})
	if err != nil {
		fmt.Println(err)
		return
	}
	line, stop := target.Connect(stm32sim.LineOptions{})
	defer stop()

	cfg := stm32boot.Config{
		Port: line.Client(), Reset: target.Reset(), Boot0: target.Boot0(),
		ResetPulse: time.Millisecond, BootDelay: time.Millisecond,
	}
	firmware := make([]byte, 10000)
	opts := stm32boot.FlashOptions{ChangedOnly: true}
	for range 2 {
		for i := 5000; i < 5100; i++ {
			firmware[i]++
		}
		image := stm32boot.Image{{Addr: 0x08000000, Data: firmware}}
		result, err := stm32boot.Flash(context.Background(), cfg, image, opts)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("pages written:", result.Written, "kept:", result.Kept)
	}
	// Output:
	// pages written: 10 kept: 0
	// pages written: 2 kept: 8
}

// Plan without a target.
func ExamplePlanFlash() {
	chip, _ := stm32boot.Lookup(0x410)
	image := stm32boot.Image{
		{Addr: 0x08000000, Data: []byte("\x00\x50\x00\x20\x09\x00\x00\x08 and so on")},
		{Addr: 0x08004000, Size: 3000, Fill: 0xA5},
	}
	plan, err := stm32boot.PlanFlash(chip, image, stm32boot.FlashOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)

	image[1].Addr = 0x08020000
	_, err = stm32boot.PlanFlash(chip, image, stm32boot.FlashOptions{})
	fmt.Println(err)
	// Output:
	// chip    0x410 F1 F101/F102/F103 Medium-density, 128 KiB of flash
	// image   3018 bytes in 4 pages, sha256 343cdf80a09528fe
	// pages   0-0 0x08000000-0x080003FF write
	// pages   16-18 0x08004000-0x08004BFF write
	// erase   4 pages
	// write   13 blocks
	// verify  read
	// cost    3271 bytes out, 3105 in, about 800ms at 115200 baud
	// warning 1078 bytes beside the image, in 2 of its pages, will be lost
	// stm32boot: image: 3000 bytes at 0x08020000: outside the flash
}
