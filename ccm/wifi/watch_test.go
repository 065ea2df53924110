package wifi_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/wifi"
)

// TestWatchStop ends one of two watchers.
func TestWatchStop(t *testing.T) {
	f := wifi.NewFake(wifi.FakeConfig{})
	count := [2]int{}
	var stops [2]func()
	for n := range stops {
		stops[n] = f.Watch(func(wifi.Status) { count[n]++ })
	}
	f.SetEthernet(ip("192.0.2.1"))
	f.SetEthernet(ip("192.0.2.1")) // no change
	stops[0]()
	stops[0]()
	f.SetEthernet(ip("192.0.2.2"))
	stops[1]()
	f.SetEthernet(ip("192.0.2.3"))
	if count != [2]int{2, 3} {
		t.Error(count)
	}
}

// TestWatchCallsBack has watchers that use the network: one joins another access
// point when a password was refused, one stops itself, one adds another.
func TestWatchCallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wifi.NewFake(wifi.FakeConfig{AccessPoints: []wifi.FakeAccessPoint{point("Home", "secret123", -50), point("Open", "", -50)}})
		var got, late []string
		defer f.Watch(func(s wifi.Status) {
			got = append(got, fmt.Sprint(s.Station, " ", s.SSID))
			if s.Reason == wifi.WrongPassword {
				if err := f.SetStation(t.Context(), station("Open", "")); err != nil {
					t.Error(err)
				}
				if now := f.Status(); now.SSID != "Open" {
					t.Errorf("%+v", now)
				}
			}
		})()
		calls := 0
		var stop func()
		stop = f.Watch(func(wifi.Status) {
			if calls++; calls == 2 {
				stop()
				f.Watch(func(s wifi.Status) { late = append(late, fmt.Sprint(s.Station, " ", s.SSID)) })
			}
		})
		if err := f.SetStation(t.Context(), station("Home", "secret124")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{"disconnected ", "connecting Home", "disconnected Home", "connecting Open", "connected Open", "got ip Open"}
		if !slices.Equal(got, want) || !slices.Equal(late, want[1:]) || calls != 2 {
			t.Errorf("%q\n%q, %d calls", got, late, calls)
		}
	})
}

// TestSlowWatcher has a watcher that does not return for a while: the network and
// another watcher go on, and it gets the newest statuses then, the last one
// included.
func TestSlowWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wifi.NewFake(wifi.FakeConfig{})
		hold, entered := make(chan struct{}), make(chan struct{})
		var slow, quick []string
		first := true
		defer f.Watch(func(s wifi.Status) {
			if s.EthIP.IsValid() && first {
				first = false
				close(entered)
				<-hold
			}
			slow = append(slow, s.EthIP.String())
		})()
		defer f.Watch(func(s wifi.Status) { quick = append(quick, s.EthIP.String()) })()
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.SetEthernet(ip("192.0.2.0"))
		}()
		<-entered
		want := []string{"invalid IP", "192.0.2.0"}
		for n := 1; n <= 100; n++ {
			a := fmt.Sprint("192.0.2.", n)
			f.SetEthernet(ip(a))
			want = append(want, a)
		}
		if !slices.Equal(quick, want) {
			t.Errorf("quick: %q", quick)
		}
		close(hold)
		<-done
		if !slices.Equal(slow, slices.Concat(want[:2], want[len(want)-16:])) {
			t.Errorf("slow: %q", slow)
		}
	})
}

// TestWatchFirstCall changes the network while a watcher is told the status of now:
// it is told of the change before Watch returns.
func TestWatchFirstCall(t *testing.T) {
	f := wifi.NewFake(wifi.FakeConfig{})
	var got []string
	defer f.Watch(func(s wifi.Status) {
		if !s.EthIP.IsValid() {
			f.SetEthernet(ip("192.0.2.1"))
		}
		got = append(got, s.EthIP.String())
	})()
	if !slices.Equal(got, []string{"invalid IP", "192.0.2.1"}) {
		t.Errorf("%q", got)
	}
}
