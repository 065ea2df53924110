package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// TestBarText: the bar fits, and says it in words where there is no room.
func TestBarText(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		rate        float64
		width       int
		want        string
	}{
		{0, 1000, 0, 60, "write   [......................]    0/1000 B   0%           "},
		{500, 1000, 5300, 60, "write   [###########...........]  500/1000 B  50%   5300 B/s"},
		{1000, 1000, 53_000, 60, "write   [######################] 1000/1000 B 100%  53.0 kB/s"},
		{1500, 1000, 53e6, 60, "write   [######################] 1500/1000 B 100%  53.0 MB/s"},
		{500, 1000, 5300, 30, "write    500/1000 B  50%   53…"},
	} {
		got := barText("write", c.done, c.total, rateText(c.rate), c.width)
		if strings.TrimRight(got, " ") != strings.TrimRight(c.want, " ") || len([]rune(got)) > c.width {
			t.Errorf("%d of %d:\n got %q\nwant %q", c.done, c.total, got, c.want)
		}
	}
}

// screen returns what a terminal of a width shows of a text: its lines. Nothing
// may go beyond the width.
func screen(t *testing.T, text string, width int) []string {
	t.Helper()
	lines, at := [][]byte{nil}, 0
	for _, c := range []byte(text) {
		line := &lines[len(lines)-1]
		switch {
		case c == '\r':
			at = 0
		case c == '\n':
			lines, at = append(lines, nil), 0
		case c < ' ' || at == width:
			t.Fatalf("byte %#x at column %d of\n%q", c, at, text)
		default:
			if *line = (*line)[:max(len(*line), at)]; at == len(*line) {
				*line = append(*line, ' ')
			}
			(*line)[at] = c
			at++
		}
	}
	var out []string
	for _, line := range lines {
		out = append(out, strings.TrimRight(string(line), " "))
	}
	return out
}

// TestProgressBar: the bar moves, makes room for notes and goes away.
func TestProgressBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		b := progressBar{log: &printer{w: &out}, width: func() int { return 80 }}
		show := func(p stm32boot.Phase, done, total int64) string {
			b.flash(stm32boot.Progress{Phase: p, Done: done, Total: total})
			lines := screen(t, out.String(), 80)
			return lines[len(lines)-1]
		}
		if got := show(stm32boot.PhaseRead, 0, 0); got != "" {
			t.Errorf("nothing to read: %q", got)
		}
		wants(t, show(stm32boot.PhaseErase, 0, 65536), "erase   [....", "    0/65536 B   0%")
		time.Sleep(time.Second)
		wants(t, show(stm32boot.PhaseErase, 32768, 65536), "] 32768/65536 B  50%  32.8 kB/s")
		n := out.Len()
		if show(stm32boot.PhaseErase, 33000, 65536); out.Len() != n {
			t.Error("it is drawn too often")
		}
		stop := b.keepMoving()
		time.Sleep(12 * time.Second)
		stop()
		if lines := screen(t, out.String(), 80); !strings.Contains(lines[0], "32768/65536 B  50%        13s") && !strings.Contains(lines[0], "33000/65536 B  50%        13s") {
			t.Errorf("it stands still: %q", lines)
		}
		b.note("a note")
		if lines := screen(t, out.String(), 80); lines[0] != "a note" || lines[1] != "" {
			t.Errorf("%q", lines)
		}
		wants(t, show(stm32boot.PhaseErase, 33000, 65536), "erase   [")
		out.WriteString("^C") // from the terminal
		b.note("another")
		if lines := screen(t, out.String(), 80); lines[1] != "another" || lines[2] != "" {
			t.Errorf("%q", lines)
		}
		wants(t, show(stm32boot.PhaseErase, 33000, 65536), "erase   [")
		wants(t, show(stm32boot.PhaseWrite, 1, 7), "write   [", " 1/7 B  14%")
		if got := show(stm32boot.PhaseDone, 0, 0); got != "" {
			t.Errorf("at the end there is %q", got)
		}
	})
}

// TestProgressLines: without a terminal there is a line for each phase, and now
// and then.
func TestProgressLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		b := progressBar{log: &printer{w: &out}, width: func() int { return 0 }}
		for i := range int64(26) {
			b.show("write", i*1000, 26_000)
			time.Sleep(time.Second)
		}
		b.show("verify", 0, 26_000)
		b.show("write", 26_000, 26_000)
		b.clear()
		want := "write   26000 bytes\nwrite   10000 of 26000 bytes 1000 B/s\nwrite   20000 of 26000 bytes 1000 B/s\nverify  26000 bytes\n"
		if got := out.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}
