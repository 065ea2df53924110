// Package gpio drives output lines of GPIO chips through the character device of
// Linux: <linux/gpio.h>, version 2 of its interface, which kernels have since 5.10.
// Only the chip that is named is opened. Elsewhere [Open] fails.
//
// Package periph.io/x/host/v3/gpioioctl was not taken: it opens every chip of the
// machine when it is initialised, and offers no other way to one.
package gpio
