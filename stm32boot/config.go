package stm32boot

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Defaults of Config.
const (
	DefaultResetPulse = 20 * time.Millisecond
	DefaultBootDelay  = 100 * time.Millisecond
)

// assumedBaud is what time limits are computed with when the rate is not known.
const assumedBaud = 9600

// Config says how a target is reached. Only Port is needed.
type Config struct {
	// Port is the line, at 8 data bits, even parity, 1 stop bit. The client
	// does not close it. Nothing else may read it meanwhile.
	Port Port

	// Rate sets the port to baud and 8E1. It is called before the target is
	// reset. nil: the port is set and stays as it is.
	Rate func(baud int) error

	// Bauds are the rates to try, from the left; recovery steps to the right.
	// nil: 115200, 57600, 19200. Without Rate only the first counts, and only for
	// time limits; if there is none the limits are those of 9600 baud.
	Bauds []int

	// Reset and Boot0 are the lines to the chip's pins, nil if not wired.
	// Reset low holds the chip in reset, Boot0 high makes it start its ROM.
	Reset, Boot0 Pin

	// InvertReset and InvertBoot0 are for lines that are inverted on their way,
	// and for the active-low outputs of USB adapters.
	InvertReset, InvertBoot0 bool

	// ResetPulse is how long Reset is held low, 0 = DefaultResetPulse.
	// BootDelay is how long the ROM is given after that before anything is
	// sent to it, 0 = DefaultBootDelay.
	ResetPulse, BootDelay time.Duration

	// Enter starts the ROM in place of the pins, and Leave the application. Enter
	// counts as a reset line: it must restart the chip each time. BootDelay
	// follows it. Leave gets a context that is not cancelled with the others,
	// but ends after 10 seconds.
	Enter, Leave func(ctx context.Context) error

	// Chip describes the target in place of the table. Its ID must be that of the
	// target, or 0 for any. It is taken as it is: the flash size is not read. Its
	// pages must add up to FlashSize, and WriteAlign be a power of 2, of at most 128.
	Chip *Chip

	// Alternate takes the chip's other layout; see [Chip.Alternate].
	Alternate bool

	// Resume takes the target for synchronised: no reset, no 0x7F.
	Resume bool

	// Latency is added to every time limit, for adapters behind a network.
	Latency time.Duration

	// Observer is told what happens besides ordinary exchanges. It runs on the
	// goroutine of the caller and must not use the client. nil: nobody is told.
	Observer func(Event)
}

// resolve checks the configuration and fills in the defaults.
func (cfg Config) resolve() (Config, error) {
	switch {
	case cfg.Port == nil:
		return cfg, errors.New("stm32boot: Config.Port is nil")
	case cfg.ResetPulse < 0, cfg.BootDelay < 0, cfg.Latency < 0:
		return cfg, errors.New("stm32boot: Config: negative duration")
	}
	if cfg.Chip != nil {
		if err := cfg.Chip.check(); err != nil {
			return cfg, err
		}
	}
	for _, baud := range cfg.Bauds {
		if baud <= 0 {
			return cfg, fmt.Errorf("stm32boot: Config.Bauds: %d", baud)
		}
	}
	if cfg.ResetPulse == 0 {
		cfg.ResetPulse = DefaultResetPulse
	}
	if cfg.BootDelay == 0 {
		cfg.BootDelay = DefaultBootDelay
	}
	switch {
	case cfg.Rate != nil && len(cfg.Bauds) == 0:
		cfg.Bauds = []int{115200, 57600, 19200}
	case cfg.Rate == nil && len(cfg.Bauds) == 0:
		cfg.Bauds = []int{assumedBaud}
	case cfg.Rate == nil:
		cfg.Bauds = cfg.Bauds[:1]
	}
	return cfg, nil
}

// canReset reports whether the chip can be restarted.
func (cfg *Config) canReset() bool { return cfg.Reset != nil || cfg.Enter != nil }
