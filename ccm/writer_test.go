package ccm_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// writer is a host that publishes without waiting for the answers.
type writer struct {
	*hand
	sent int

	mu      sync.Mutex
	answers map[string]answered // by id
}

// answered is what the host was told, and when.
type answered struct {
	text string
	at   time.Time
}

func newWriter(t *testing.T) *writer {
	w := &writer{hand: newHand(t, ccmtest.Line{}), answers: map[string]answered{}}
	w.answer(func(line string) (string, bool) {
		id, rest, is := strings.Cut(strings.TrimPrefix(line, `{"id":`), ",")
		if !is || !strings.HasPrefix(rest, `"result":`) && !strings.HasPrefix(rest, `"error":`) {
			return "", false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answers[id] = answered{strings.TrimSuffix(rest, "}"), time.Now()}
		return "", true
	})
	return w
}

// publish publishes the next number to the topic work.
func (w *writer) publish() {
	w.send(fmt.Sprintf(`{"id":%d,"method":"MQTT.Pub","params":{"topic":"work","message":"%[1]d","qos":1}}`+"\n", w.sent))
	w.sent++
}

// told returns how a message was answered; ok is false if it was not.
func (w *writer) told(i int) (a answered, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok = w.answers[strconv.Itoa(i)]
	return a, ok
}

// arrivals reads the numbers that come before "end", whose first arrivals must be
// in order, and reports which of n have come.
func arrivals(t *testing.T, got <-chan string, n int) (seen []bool, doubles int) {
	t.Helper()
	seen = make([]bool, n)
	for last := -1; ; {
		var s string
		select {
		case s = <-got:
		case <-time.After(10 * time.Second):
			t.Fatalf("the end does not come, %d was the last", last)
		}
		if s == "work end" {
			return seen, doubles
		}
		i, err := strconv.Atoi(strings.TrimPrefix(s, "work "))
		switch {
		case err != nil || i < 0 || i >= n:
			t.Fatalf("got %q", s)
		case seen[i]:
			doubles++
		case i < last:
			t.Errorf("message %d came after %d", i, last)
		default:
			last = i
		}
		seen[i] = true
	}
}
