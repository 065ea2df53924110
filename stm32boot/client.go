package stm32boot

import "slices"

// Client is a session with a boot loader. Its methods must not be called
// concurrently; each of them ends soon after its context does.
type Client struct {
	cfg  Config
	link link

	rate    int   // index into cfg.Bauds
	state   state // of the target
	pending byte  // the command that was begun last
	fresh   bool  // nothing was answered since it synchronised

	refusals int // of Read as such, in a row

	chip    Chip
	sized   bool // chip has the size of this target
	id      uint16
	version byte
	cmds    []byte
}

// state is what is known of the target between two commands.
type state uint8

const (
	stateIdle   state = iota // it waits for a command
	stateDirty               // a command ended midway
	stateList                // a command with a list ended before any of the list was sent
	stateInList              // a command with a list ended in the list, or after it
	stateGone                // it runs something else
	stateClosed
)

// Chip returns what is known of the target, trimmed to the size of its flash if
// that could be read. The slices are the caller's.
func (c *Client) Chip() Chip { return c.chip.Trim(0) }

// SizeKnown reports whether the chip gave the size of its flash, or Config.Chip
// did. Otherwise Chip is the largest one with this product id.
func (c *Client) SizeKnown() bool { return c.sized }

// ID returns the product id.
func (c *Client) ID() uint16 { return c.id }

// Version returns the version of the protocol: 0x31 is 3.1.
func (c *Client) Version() byte { return c.version }

// Commands returns the commands that Get lists. The slice is the caller's.
func (c *Client) Commands() []byte { return slices.Clone(c.cmds) }

// Supports reports whether Get lists a command.
func (c *Client) Supports(cmd byte) bool { return slices.Contains(c.cmds, cmd) }

// Baud returns the rate in use, or the one assumed for time limits.
func (c *Client) Baud() int { return c.cfg.Bauds[c.rate] }

// Stats returns the counters.
func (c *Client) Stats() Stats { return c.link.stats }

// note tells the observer.
func (c *Client) note(e Event) {
	if c.cfg.Observer != nil {
		c.cfg.Observer(e)
	}
}
