package cloud_test

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// TestBackoffRange: the wait is anywhere between 0 and a limit that doubles, and
// narrow only when a fleet is spread.
func TestBackoffRange(t *testing.T) {
	seconds := []float64{2, 4, 8, 16, 32, 60, 60, 60}
	for _, r := range []float64{0, 0.25, 0.9999} {
		b := cloud.NewBackoff(2*time.Second, time.Minute, func() float64 { return r })
		for i, limit := range seconds {
			low := 0.0
			if i > 5 {
				low = 57.6
			}
			want := time.Duration((low + r*(limit-low)) * float64(time.Second))
			if got := b.Next(cloud.ReasonUnreachable, 0); (got - want).Abs() > time.Millisecond {
				t.Errorf("wait %d: %v, want %v", i, got, want)
			}
		}
	}
}

// TestBackoffFloors: a server that refuses is asked again after 10 s at the
// soonest, one that closes three connections in a row within 5 s after 30 s.
func TestBackoffFloors(t *testing.T) {
	const early, late = time.Second, 5 * time.Second
	b := cloud.NewBackoff(2*time.Second, time.Minute, func() float64 { return 0 })
	for i, step := range []struct {
		reason cloud.Reason
		up     time.Duration
		want   time.Duration
	}{
		{cloud.ReasonUnreachable, 0, 0},
		{cloud.ReasonBadCredentials, 0, 10 * time.Second},
		{cloud.ReasonNotAuthorized, 0, 10 * time.Second},
		{cloud.ReasonTLSClient, 0, 10 * time.Second},
		{cloud.ReasonServerUnavailable, 0, 10 * time.Second},
		{cloud.ReasonClosed, early, 0},
		{cloud.ReasonClosed, early, 57600 * time.Millisecond}, // the sixth in a row, not the floor
		{cloud.ReasonClosed, late, 0},
		{cloud.ReasonClosed, early, 0},
		{cloud.ReasonClosed, early, 0},
		{cloud.ReasonClosed, early, 30 * time.Second},
		{cloud.ReasonUnreachable, 0, 30 * time.Second},
		{cloud.ReasonClosed, late, 0},
		{cloud.ReasonUnreachable, 0, 0},
	} {
		if got := b.Next(step.reason, step.up); got != step.want {
			t.Errorf("step %d, %v: %v, want %v", i, step.reason, got, step.want)
		}
	}
	spread := cloud.NewBackoff(2*time.Second, time.Minute, rand.Float64)
	var low, high time.Duration = time.Hour, 0
	for range 1000 {
		d := spread.Next(cloud.ReasonBadCredentials, late)
		low, high = min(low, d), max(high, d)
	}
	if low < 10*time.Second || low > 11*time.Second || high < 19*time.Second || high > 20*time.Second {
		t.Errorf("with a floor, waits are %v to %v", low, high)
	}
}

// TestRefusedForADay (T3): 24 hours without a server, at most 1500 attempts, no
// wait of more than a minute.
func TestRefusedForADay(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			var attempts []time.Time
			c := run(t, cloud.Config{
				ClientID: "a", Rand: rand.New(rand.NewPCG(seed, 0)).Float64,
				Dial: func(context.Context, string, string) (net.Conn, error) {
					attempts = append(attempts, time.Now())
					return nil, errRefused
				},
			})
			time.Sleep(24 * time.Hour)
			c.stop(t)
			var waits []time.Duration
			for i := range attempts[1:] {
				waits = append(waits, attempts[i+1].Sub(attempts[i]))
			}
			t.Logf("seed %d: %d attempts, first waits %v, longest %v", seed, len(attempts), waits[:8], slices.Max(waits))
			if len(attempts) > 1500 || len(attempts) < 1400 || slices.Max(waits) > time.Minute {
				t.Errorf("%d attempts, longest wait %v", len(attempts), slices.Max(waits))
			}
			if got := c.Stats().Attempts; got != uint64(len(attempts)) {
				t.Errorf("%d attempts counted", got)
			}
		})
	}
}

// TestThrownOut: a server that lets the client in and throws it out, as one does
// for two clients with the same id, is not hammered.
func TestThrownOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			newPeer(t, conn).accept(0)
			time.Sleep(time.Second)
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial})
		defer c.stop(t)
		time.Sleep(time.Hour)
		if s := c.Stats(); s.Connects > 130 || s.Connects < 55 {
			t.Errorf("%d connections in an hour", s.Connects)
		}
	})
}
