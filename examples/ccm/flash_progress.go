package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// How often progress is shown: a bar is drawn anew, or a line printed.
const (
	drawEvery = 100 * time.Millisecond
	lineEvery = 10 * time.Second
)

// margin is what a bar leaves free of its line: for the cursor, and the ^C that a
// terminal writes there.
const margin = 3

// progressBar shows how far something has come: on a terminal by a line that
// changes, elsewhere by a line when a phase begins, and now and then.
type progressBar struct {
	log   *printer
	width func() int // of the terminal; 0 = there is none

	mu          sync.Mutex
	phase       string
	done, total int64           // as it was shown last
	shown       time.Time       // when that was
	begun, next time.Time       // of the phase; when to show more
	from        int64           // what was done when the phase began
	told        map[string]bool // phases that a line has told of
	drawn       int             // characters of the bar on the terminal
}

// progress returns a bar on standard error.
func (p *program) progress() *progressBar { return &progressBar{log: p.log, width: p.log.width} }

// flash shows the progress of a flashing.
func (b *progressBar) flash(p stm32boot.Progress) {
	if p.Phase == stm32boot.PhaseDone {
		b.clear()
		return
	}
	b.show(p.Phase.String(), p.Done, p.Total)
}

// stillAfter is how long nothing must have happened for the bar to say for how long it
// has been waiting: an erase of the whole flash may take half a minute.
const stillAfter = time.Second

// keepMoving has the bar show the time while nothing else moves it, until stop is
// called.
func (b *progressBar) keepMoving() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var ticking sync.WaitGroup
	ticking.Go(func() {
		t := time.NewTicker(stillAfter)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				b.tick()
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		ticking.Wait()
	}
}

// tick shows the time, if nothing has been shown lately.
func (b *progressBar) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	width := b.width()
	if b.phase == "" || width <= 0 || now.Sub(b.shown) < stillAfter {
		return
	}
	waited := now.Sub(b.begun).Truncate(time.Second).String()
	b.draw(barText(b.phase, b.done, b.total, waited, width-margin), width-margin)
}

// show shows that so many bytes of a phase are done.
func (b *progressBar) show(phase string, done, total int64) {
	if total <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch {
	case phase != b.phase || done != b.done:
		b.shown = now
	case b.drawn > 0 && now.Sub(b.shown) >= stillAfter:
		return // tick shows the time
	}
	b.done, b.total = done, total
	changed := phase != b.phase
	if changed {
		b.phase, b.begun, b.from = phase, now, done
	}
	width := b.width()
	switch {
	case width <= 0:
		b.tell(now, done, total)
	case changed, done == total, !now.Before(b.next):
		b.next = now.Add(drawEvery)
		b.draw(barText(phase, done, total, rateText(b.rate(now, done)), width-margin), width-margin)
	}
}

// rate returns the bytes a second in this phase, 0 if that is not known yet.
func (b *progressBar) rate(now time.Time, done int64) float64 {
	if d := now.Sub(b.begun); d >= drawEvery {
		return float64(done-b.from) / d.Seconds()
	}
	return 0
}

// draw replaces the bar. No more is asked of the terminal than to go back to the
// begin of the line.
func (b *progressBar) draw(text string, width int) {
	n := len(text)
	if pad := min(b.drawn, width) - n; pad > 0 {
		text += strings.Repeat(" ", pad)
	}
	b.drawn = n
	b.log.printf("\r%s", text)
}

// tell prints a line where there is no terminal.
func (b *progressBar) tell(now time.Time, done, total int64) {
	switch {
	case !b.told[b.phase]:
		if b.told == nil {
			b.told = map[string]bool{}
		}
		b.told[b.phase] = true
		b.log.printf("%-7s %d bytes\n", b.phase, total)
	case now.Before(b.next):
		return
	default:
		b.log.printf("%-7s %d of %d bytes %s\n", b.phase, done, total, rateText(b.rate(now, done)))
	}
	b.next = now.Add(lineEvery)
}

// clear takes the bar away.
func (b *progressBar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wipe()
}

// wipe is clear with the lock held.
func (b *progressBar) wipe() {
	if b.drawn > 0 {
		b.log.printf("\r%s\r", strings.Repeat(" ", b.drawn+margin-1)) // a ^C behind it too
		b.drawn = 0
	}
	b.phase = ""
}

// note prints a line above the bar.
func (b *progressBar) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	phase, drawn := b.phase, b.drawn > 0
	b.wipe()
	if b.phase = phase; drawn {
		b.next = time.Time{}
	}
	b.log.printf("%s\n", fmt.Sprintf(format, args...))
}

// barText returns the line that shows how far it is, of at most width characters.
// There is a bar in it if there is room. speed stands at its end.
func barText(phase string, done, total int64, speed string, width int) string {
	share := min(1, max(0, float64(done)/float64(total)))
	digits := len(fmt.Sprint(total))
	left := fmt.Sprintf("%-7s", phase)
	right := fmt.Sprintf("%*d/%d B %3.0f%% %10s", digits, done, total, share*100, speed)
	room := width - len(left) - len(right) - 4
	if room < 10 {
		return cutTo(left+" "+right, width)
	}
	full := int(share * float64(room))
	return left + " [" + strings.Repeat("#", full) + strings.Repeat(".", room-full) + "] " + right
}

// rateText returns a rate as it is shown.
func rateText(rate float64) string {
	switch {
	case rate <= 0:
		return ""
	case rate < 10_000:
		return fmt.Sprintf("%.0f B/s", rate)
	case rate < 10_000_000:
		return fmt.Sprintf("%.1f kB/s", rate/1000)
	}
	return fmt.Sprintf("%.1f MB/s", rate/1e6)
}
