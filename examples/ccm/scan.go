package main

import (
	"context"
	"errors"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
)

// scanRates are the speeds that are tried, the usual ones first.
var scanRates = []int{115200, 9600, 57600, 38400, 230400, 460800, 921600}

const (
	// scanPasses is more than one because opening a port resets some boards,
	// which are deaf for a second or two then.
	scanPasses = 2
	// scanPatience is how long a speed is tried in a pass, so that all of it
	// takes less than ten seconds.
	scanPatience = 600 * time.Millisecond
)

// modePort is a port whose speed can be changed.
type modePort interface {
	SetMode(uart.Mode) error
}

// scan looks for the speed at which somebody answers twice, and leaves the port
// at it. 0 means that nobody did at any. tell is told what is tried.
func scan(ctx context.Context, q *probe, port modePort, tell func(baud int)) (int, error) {
	for range scanPasses {
		for _, baud := range scanRates {
			tell(baud)
			if err := port.SetMode(uart.Mode8N1(baud)); errors.Is(err, uart.ErrMode) {
				continue // this port cannot
			} else if err != nil {
				return 0, err
			}
			found, err := answersTwice(ctx, q)
			if err != nil || found {
				return baud, err
			}
		}
	}
	return 0, nil
}

// answersTwice reports whether two answers come that fit their questions. No text
// at the wrong speed looks like that.
func answersTwice(ctx context.Context, q *probe) (bool, error) {
	if err := q.newline(ctx); err != nil {
		return false, err
	}
	end := time.Now().Add(scanPatience)
	for n := 0; ; {
		if n == 0 {
			q.crc = !q.crc // see identity.question
		}
		left := time.Until(end)
		if left <= 0 {
			return false, nil
		}
		r, err := q.ask(ctx, "RPC.Ping", min(left, askPause))
		switch {
		case err == nil && !r.complaint:
			if n++; n == 2 {
				return true, nil
			}
		case err != nil && !errors.Is(err, errNoAnswer):
			return false, err
		}
	}
}
