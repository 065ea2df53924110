package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/spf13/cobra"
)

// doctor examines a link.
type doctor struct {
	*program
	at       endpoint
	scan     bool
	maxFrame int // the longest frame to try; 0 = none
}

const doctorHelp = `Finds out who is at an endpoint, and how good the link is: the generation of the
host, the longest frame it takes, what it does with CRC suffixes, and how long a
call takes. If nobody answers, it says what to try.

Only methods without effect are called. The longest frame is found by sending
longer and longer ones until the host does not answer any more, which hosts built
on mjson stand; --max-frame 0 leaves that out. No other program may have the port.
ccm --help lists the forms of an ENDPOINT.`

// doctorCommand is ccm doctor.
func (p *program) doctorCommand() *cobra.Command {
	d := &doctor{program: p}
	cmd := &cobra.Command{
		Use: "doctor ENDPOINT", Short: "Find out who is at an endpoint and how good the link is", Long: doctorHelp,
		Example: "  ccm doctor /dev/ttyUSB0\n  ccm doctor --scan /dev/ttyUSB0\n  ccm doctor tcp:127.0.0.1:4000",
		Args:    exactly("ENDPOINT"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if d.at, err = parseEndpoint(args[0]); err != nil {
				return usage(cmd, "%v", err)
			}
			if err := d.check(cmd); err != nil {
				return err
			}
			port, err := d.at.open(cmd.Context())
			if err != nil {
				return d.at.openError(err)
			}
			return d.examine(cmd.Context(), port)
		},
	}
	cmd.Flags().BoolVar(&d.scan, "scan", false, "find the speed of a serial port first")
	cmd.Flags().IntVar(&d.maxFrame, "max-frame", 4096, "longest frame to try, in `bytes`; 0 tries none")
	return cmd
}

// check checks the flags.
func (d *doctor) check(cmd *cobra.Command) error {
	switch {
	case d.scan && d.at.network != "serial":
		return usage(cmd, "--scan is for serial ports, not for %s", d.at)
	case d.maxFrame != 0 && (d.maxFrame < smallest || d.maxFrame > maxReply):
		return usage(cmd, "--max-frame must be 0, or %d to %d", smallest, maxReply)
	}
	return nil
}

// examine examines the link over a port, which it closes.
func (d *doctor) examine(ctx context.Context, port framing.Port) error {
	q := newProbe(ctx, port)
	defer q.close()
	d.line("endpoint", "%s", d.at)
	err := d.look(ctx, q, port)
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case errors.Is(err, errNobody):
		d.advise(q)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the other end has hung up: %w", err)
	}
	return err
}

var (
	errNobody      = errors.New("nobody answers")
	errInterrupted = errors.New("interrupted")
)

// look finds out one thing after the other, and prints it at once.
func (d *doctor) look(ctx context.Context, q *probe, port framing.Port) error {
	if d.scan {
		if err := d.findSpeed(ctx, q, port); err != nil {
			return err
		}
	}
	who, err := identify(ctx, q)
	switch {
	case err != nil:
		return err
	case !who.answered:
		return errNobody
	}
	d.introduce(&who)
	t, err := measure(ctx, q, who.short, 20)
	if err != nil {
		return err
	}
	d.line("round trip", "%s", t)
	if t.tries == t.lost {
		return errNobody // any more
	}
	s, err := trySuffix(ctx, q, who.short, t.patient())
	if err != nil {
		return err
	}
	d.line("CRC", "%s", s)
	if err := d.findLimit(ctx, q, &who, t); err != nil {
		return err
	}
	d.besides(q)
	return nil
}

// line prints one finding.
func (d *doctor) line(what, format string, args ...any) {
	d.out.printf("%-12s %s\n", what, fmt.Sprintf(format, args...))
}

// findSpeed looks for the speed of the peer.
func (d *doctor) findSpeed(ctx context.Context, q *probe, port framing.Port) error {
	can, is := port.(modePort)
	if !is {
		return fmt.Errorf("%s has no speed", d.at)
	}
	baud, err := scan(ctx, q, can, func(baud int) {
		if d.colour { // somebody watches
			d.out.printf("\r%-12s trying %d ...\x1b[K", "speed", baud)
		}
	})
	if d.colour {
		d.out.printf("\r\x1b[K")
	}
	switch {
	case err != nil:
		return err
	case baud == 0:
		d.line("speed", "no answer at %s", strings.Trim(strings.ReplaceAll(fmt.Sprint(scanRates), " ", ", "), "[]"))
		return errNobody
	}
	d.at.baud = baud
	d.line("speed", "%d baud: %s", baud, d.at)
	return nil
}

// introduce prints who is there.
func (d *doctor) introduce(who *identity) {
	d.line("generation", "%s", who.generation())
	if text := who.firmware(); text != "" {
		d.line("firmware", "%s", text)
	}
	if len(who.Methods) > 0 {
		d.line("methods", "%s", readable([]byte(strings.Join(who.Methods, ", "))))
	}
}

// findLimit finds the longest frame and prints it.
func (d *doctor) findLimit(ctx context.Context, q *probe, who *identity, t timing) error {
	most := d.maxFrame
	if who.FrameLimit >= smallest {
		most = min(most, who.FrameLimit) // it has said what it takes: no need to go beyond
	}
	if most == 0 {
		return nil
	}
	l := limits{q: q, method: who.short, patient: t.patient()}
	if d.at.network == "serial" {
		l.perByte = 11 * time.Second / time.Duration(d.at.baud)
	}
	longest, ended, err := l.find(ctx, most)
	switch {
	case err != nil:
		return err
	case ended && who.FrameLimit > longest:
		d.line("frames", "up to %d bytes, although it says %d (rx_max): is something on the way slower?", longest, who.FrameLimit)
	case ended:
		d.line("frames", "up to %d bytes", longest)
	case longest == who.FrameLimit:
		d.line("frames", "up to %d bytes, as it says (rx_max)", longest)
	default:
		d.line("frames", "%d bytes and maybe more", longest)
	}
	if ended && longest < 255 {
		d.line("", "the usual is 255: a small receive buffer? Pauses between pieces may help")
	}
	return nil
}

// besides prints what else came.
func (d *doctor) besides(q *probe) {
	n, s := q.seen(), q.frames.Stats()
	if len(n.methods) > 0 {
		d.line("by itself", "it sends %s", readable([]byte(strings.Join(n.methods, ", "))))
	}
	if s.Junk > 0 {
		d.line("other text", "%d lines, such as %q", s.Junk, n.junk[len(n.junk)-1])
	}
	if damaged := s.CRCErrors + uint64(n.broken); damaged > 0 {
		d.line("damage", "%d frames of %d came damaged: look at ground, cable length and speed", damaged, s.Lines)
	}
}

// String says how long calls take.
func (t timing) String() string {
	if t.lost == t.tries {
		return fmt.Sprintf("none of %d calls was answered", t.tries)
	}
	text := fmt.Sprintf("%s min, %s median, %s max of %d calls", ms(t.least), ms(t.median), ms(t.most), t.tries)
	if t.lost > 0 {
		text += fmt.Sprintf("; %d got no answer", t.lost)
	}
	return text
}

// ms writes a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }
