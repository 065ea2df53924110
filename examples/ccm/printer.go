package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// printer lets several goroutines print, and keeps the first error.
type printer struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// Write prints p whole.
func (p *printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.w.Write(text)
	if p.err == nil {
		p.err = err
	}
	return n, err
}

// printf prints formatted text at once, so that lines do not mix.
func (p *printer) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// failed returns the first error.
func (p *printer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// colour is the number of a terminal colour (ECMA-48, SGR).
type colour string

// The colours in use.
const (
	plain  colour = ""
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	cyan   colour = "36"
)

// paint returns text in a colour, if the output shows colours.
func (p *program) paint(c colour, text string) string {
	if !p.colour || c == plain {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// wantsColour reports whether colours make sense on w: it is a terminal that
// knows them, and NO_COLOR (no-color.org) is not set.
func wantsColour(w io.Writer) bool {
	f, is := w.(*os.File)
	if !is || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || runtime.GOOS == "windows" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// width returns the width of the terminal that is printed on now, or 0.
func (p *printer) width() int {
	if f, is := p.w.(*os.File); is {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// cutTo cuts text to a number of characters, if that is above 0: there is no
// terminal otherwise, or none worth the trouble.
func cutTo(text string, width int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// maxShown is how much of a line is shown.
const maxShown = 4096

// readable returns a line as it can be shown on a terminal: as it is if all of it
// is printable text, else quoted.
func readable(line []byte) string {
	cut := ""
	if len(line) > maxShown {
		cut = fmt.Sprintf("... (%d bytes)", len(line))
		line = line[:maxShown]
	}
	for rest := line; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			return strconv.Quote(string(line)) + cut
		}
		rest = rest[n:]
	}
	return string(line) + cut
}
