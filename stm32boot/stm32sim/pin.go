package stm32sim

import "github.com/ccmkit/ccmkit/stm32boot"

// Reset returns the NRST pin: low holds the chip in reset, high lets it start.
// It is high at first. A falling edge ends whatever the chip does, also the
// erase or the program of flash.
func (t *Target) Reset() stm32boot.Pin { return pin{t, (*Target).setReset} }

// Boot0 returns the BOOT0 pin, which the chip looks at when it starts: high is
// the ROM, low the application. At first it is high, or low with
// Options.Boot0Low.
func (t *Target) Boot0() stm32boot.Pin { return pin{t, (*Target).setBoot0} }

// pin is an input of the target.
type pin struct {
	t   *Target
	set func(t *Target, high bool) (stop func())
}

// Set drives the pin. It never fails.
func (p pin) Set(high bool) error {
	p.t.mu.Lock()
	stop := p.set(p.t, high)
	p.t.mu.Unlock()
	if stop != nil {
		stop()
	}
	return nil
}

// setReset is called with mu held.
func (t *Target) setReset(high bool) (stop func()) {
	if t.held == !high {
		return nil
	}
	t.stats.Edges++
	t.held = !high
	t.mode = modeBoot
	if !t.powered {
		return nil
	}
	if t.held {
		return t.newLife()
	}
	return t.changed()
}

// setBoot0 is called with mu held.
func (t *Target) setBoot0(high bool) (stop func()) {
	if t.boot0 != high {
		t.boot0 = high
		t.stats.Edges++
	}
	return nil
}
