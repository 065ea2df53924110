package wifi_test

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/wifi"
)

// TestStation sets the station and waits a minute.
func TestStation(t *testing.T) {
	static := station("Home", "secret123")
	static.IP, static.Netmask = ip("10.0.0.7"), ip("255.0.0.0")
	deaf := point("Deaf", "secret123", -50)
	deaf.NoAddress = true
	staticDeaf := static
	staticDeaf.SSID = "Deaf"
	enterprise := point("Firm", "secret123", -50)
	enterprise.Auth = wifi.AuthWPA2Enterprise
	hidden := point("Hidden", "secret123", -50)
	hidden.Hidden, hidden.Address = true, ip("10.5.0.18")
	strong := point("Twice", "secret123", -40)
	strong.Address = ip("10.5.0.19")
	points := []wifi.FakeAccessPoint{point("Home", "secret123", -50), point("Open", "", -60), deaf, enterprise, hidden,
		point("Twice", "secret123", -41), strong, point("Twice", "secret123", -42), point("Twice", "", -30)}
	for name, c := range map[string]struct {
		wifi.Station
		want []string
	}{
		"right password": {station("Home", "secret123"),
			[]string{"0s connecting Home", "3s connected Home", "4.8s got ip Home ip 192.0.2.18"}},
		"open":             {station("Open", ""), []string{"0s connecting Open", "3s connected Open", "4.8s got ip Open ip 192.0.2.18"}},
		"hidden":           {station("Hidden", "secret123"), []string{"0s connecting Hidden", "3s connected Hidden", "4.8s got ip Hidden ip 10.5.0.18"}},
		"the strongest":    {station("Twice", "secret123"), []string{"0s connecting Twice", "3s connected Twice", "4.8s got ip Twice ip 10.5.0.19"}},
		"own address":      {static, []string{"0s connecting Home", "3s connected Home", "4.8s got ip Home ip 10.0.0.7"}},
		"wrong password":   {station("Home", "secret124"), []string{"0s connecting Home", "8.9s disconnected Home (wrong password)"}},
		"no such network":  {station("home", "secret123"), []string{"0s connecting home", "10s disconnected home (not found)"}},
		"password missing": {station("Home", ""), []string{"0s connecting Home", "10s disconnected Home (not found)"}},
		"password for an open network": {station("Open", "secret123"),
			[]string{"0s connecting Open", "10s disconnected Open (not found)"}},
		"enterprise": {station("Firm", "secret123"), []string{"0s connecting Firm", "10s disconnected Firm (not found)"}},
		"no DHCP server": {station("Deaf", "secret123"),
			[]string{"0s connecting Deaf", "3s connected Deaf", "48s disconnected Deaf (no address)"}},
		"no DHCP needed": {staticDeaf, []string{"0s connecting Deaf", "3s connected Deaf", "4.8s got ip Deaf ip 10.0.0.7"}},
		"not enabled":    {wifi.Station{SSID: "Home"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := wifi.NewFake(wifi.FakeConfig{AccessPoints: points})
				w := watch(t, f)
				w.check(t, "0s disconnected ")
				if err := f.SetStation(t.Context(), c.Station); err != nil {
					t.Fatal(err)
				}
				if s := f.Status(); c.want != nil && (s.Station != wifi.Connecting || s.SSID != c.SSID) {
					t.Errorf("at once: %+v", s)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				w.check(t, c.want...)
			})
		})
	}
}

// TestSetAgain sets the station while it is on its way: only the last setting
// counts.
func TestSetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wifi.NewFake(wifi.FakeConfig{AccessPoints: []wifi.FakeAccessPoint{point("Home", "secret123", -50), point("Open", "", -60)}})
		w := watch(t, f)
		set := func(s wifi.Station, wait time.Duration) {
			if err := f.SetStation(t.Context(), s); err != nil {
				t.Error(err)
			}
			time.Sleep(wait)
			synctest.Wait()
		}
		set(station("Home", "wrong-one"), 5*time.Second)
		set(station("Home", "secret123"), 4*time.Second)
		w.check(t, "0s disconnected ", "0s connecting Home", "8s connected Home")
		set(station("Open", ""), time.Minute)
		w.check(t, "9s connecting Open", "12s connected Open", "13.8s got ip Open ip 192.0.2.18")
		set(wifi.Station{}, time.Minute)
		w.check(t, "1m9s disconnected ")
		want := []wifi.Station{station("Home", "wrong-one"), station("Home", "secret123"), station("Open", ""), {}}
		if got := f.Stations(); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
}

// TestSetAtThatMoment sets the station at the very time of its next step. The step
// is done before or not at all.
func TestSetAtThatMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wifi.NewFake(wifi.FakeConfig{AccessPoints: []wifi.FakeAccessPoint{point("Home", "secret123", -50)}})
		for n := range 2000 {
			err := f.SetStation(t.Context(), station("Home", "secret123"))
			time.Sleep(3 * time.Second)
			err = errors.Join(err, f.SetStation(t.Context(), wifi.Station{}))
			synctest.Wait()
			if s := f.Status(); s != (wifi.Status{}) || err != nil {
				t.Fatalf("%d: %+v, %v", n, s, err)
			}
		}
	})
}

// TestAccessPointsChange takes the access point away and brings it back.
func TestAccessPointsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home, far := point("Home", "secret123", -50), point("Home", "secret123", -80)
		far.BSSID = wifi.BSSID{2, 3, 4, 5, 6, 7}
		f := wifi.NewFake(wifi.FakeConfig{})
		w := watch(t, f)
		points := func(wait time.Duration, p ...wifi.FakeAccessPoint) {
			f.SetAccessPoints(p...)
			time.Sleep(wait)
			synctest.Wait()
		}
		if err := f.SetStation(t.Context(), station("Home", "secret123")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		points(1500*time.Millisecond, point("Other", "", -40)) // that does not help
		w.check(t, "0s disconnected ", "0s connecting Home", "10s disconnected Home (not found)")
		points(9500*time.Millisecond, far)
		w.check(t, "10.5s connecting Home", "13.5s connected Home", "15.3s got ip Home ip 192.0.2.18")
		far.RSSI = -90
		points(10*time.Second, home, far) // it has no reason to leave
		w.check(t)
		points(10*time.Second, home)
		w.check(t, "30s disconnected Home (lost)", "30s connecting Home", "33s connected Home", "34.8s got ip Home ip 192.0.2.18")
		points(10 * time.Second)
		w.check(t, "40s disconnected Home (lost)")
		points(1*time.Second, home)
		points(10*time.Second, far) // while it is on its way
		w.check(t, "50s connecting Home", "54s connected Home", "55.8s got ip Home ip 192.0.2.18")
		changed := point("Home", "changed-it", -50)
		points(10*time.Second, changed)
		w.check(t, "1m1s disconnected Home (lost)", "1m1s connecting Home", "1m9.9s disconnected Home (wrong password)")
		points(59*time.Second, home) // it does not try again with a password that was refused
		w.check(t)
		if err := f.SetStation(t.Context(), station("Home", "secret123")); err != nil {
			t.Fatal(err)
		}
		points(time.Second, home)
		points(time.Minute) // gone before it was joined
		w.check(t, "2m10s connecting Home", "2m21s disconnected Home (not found)")
	})
}

// TestRadio switches the radio off and on.
func TestRadio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wifi.NewFake(wifi.FakeConfig{AccessPoints: []wifi.FakeAccessPoint{point("Home", "secret123", -50)}, Ethernet: ip("192.0.2.1")})
		f.SetRadio(false)
		f.SetRadio(false)
		w := watch(t, f)
		if err := errors.Join(f.SetStation(t.Context(), station("Home", "secret123")), f.SetAP(t.Context(), ap)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Scan(t.Context()); !errors.Is(err, wifi.ErrRadioOff) {
			t.Error(err)
		}
		w.check(t, "0s disconnected  eth 192.0.2.1", "0s disconnected Home (radio off) eth 192.0.2.1")
		f.SetEthernet(netip.Addr{})
		f.SetRadio(true)
		time.Sleep(8 * time.Second)
		synctest.Wait()
		w.check(t, "2s disconnected Home (radio off)", "2s connecting Home", "5s connected Home",
			"6.5s connected Home ap 192.168.4.1", "6.8s got ip Home ip 192.0.2.18 ap 192.168.4.1")
		if s := f.Status(); !s.Online() {
			t.Errorf("%+v", s)
		}
		f.SetRadio(false)
		f.SetAccessPoints() // nobody hears that
		if s := f.Status(); s.Online() || s != (wifi.Status{SSID: "Home", Reason: wifi.RadioOff}) {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		f.SetEthernet(ip("192.0.2.1"))
		if s := f.Status(); !s.Online() || s.APIP.IsValid() {
			t.Errorf("%+v", s)
		}
	})
}

// TestAP switches the module's own access point on and off.
func TestAP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wifi.NewFake(wifi.FakeConfig{})
		w := watch(t, f)
		set := func(a wifi.AP, wait time.Duration) {
			if err := f.SetAP(t.Context(), a); err != nil {
				t.Error(err)
			}
			time.Sleep(wait)
			synctest.Wait()
		}
		other := ap
		other.IP = ip("192.168.4.2")
		set(ap, 4*time.Second)
		set(other, 6*time.Second)
		set(ap, time.Second)
		set(wifi.AP{}, time.Minute)
		set(ap, 5*time.Second)
		set(wifi.AP{}, 5*time.Second)
		w.check(t, "0s disconnected ", "8.5s disconnected  ap 192.168.4.2", "10s disconnected ",
			"1m15.5s disconnected  ap 192.168.4.1", "1m16s disconnected ")
		if got := f.APs(); !reflect.DeepEqual(got, []wifi.AP{ap, other, ap, {}, ap, {}}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hidden := point("Hidden", "secret123", -20)
		hidden.Hidden = true
		full := wifi.FakeAccessPoint{AccessPoint: wifi.AccessPoint{SSID: "Full", BSSID: wifi.BSSID{1, 2, 3, 4, 5, 6}, Auth: wifi.AuthWPA3, Channel: 36, RSSI: -30}}
		f := wifi.NewFake(wifi.FakeConfig{AccessPoints: []wifi.FakeAccessPoint{point("Weak", "", -80), hidden, point("Plain", "secret123", 0), full}})
		start := time.Now()
		got, err := f.Scan(t.Context())
		if err != nil || len(got) != 3 || time.Since(start) != 2*time.Second {
			t.Fatalf("%+v, %v after %v", got, err, time.Since(start))
		}
		if got[0] != full.AccessPoint || got[1].SSID != "Plain" || got[2].SSID != "Weak" {
			t.Errorf("%+v", got)
		}
		if p := got[1]; p.BSSID == (wifi.BSSID{}) || p.BSSID == got[2].BSSID || p.Channel != 6 || p.RSSI != -50 || p.Auth != wifi.AuthWPA2 {
			t.Errorf("%+v", p)
		}
		got[0].SSID = "mine"
		if again, err := f.Scan(t.Context()); err != nil || again[0] != full.AccessPoint {
			t.Errorf("%+v, %v", again, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if _, err := f.Scan(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestFaults makes every method fail; nothing changes and nothing is recorded.
func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wifi.NewFake(wifi.FakeConfig{AccessPoints: []wifi.FakeAccessPoint{point("Home", "secret123", -50)}})
		w := watch(t, f)
		w.check(t, "0s disconnected ")
		scan, sta, acp := errors.New("scan"), errors.New("station"), errors.New("ap")
		f.SetFaults(wifi.Faults{Scan: scan, SetStation: sta, SetAP: acp})
		if _, err := f.Scan(t.Context()); err != scan {
			t.Error(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, c := range []struct{ got, want error }{
			{f.SetStation(t.Context(), station("Home", "secret123")), sta},
			{f.SetAP(t.Context(), ap), acp},
			{f.SetStation(t.Context(), station("", "secret123")), wifi.ErrInvalid},
			{f.SetAP(t.Context(), wifi.AP{Enable: true}), wifi.ErrInvalid},
			{f.SetStation(ended, station("Home", "secret123")), context.Canceled},
			{f.SetAP(ended, ap), context.Canceled},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%v, want %v", c.got, c.want)
			}
		}
		time.Sleep(time.Minute)
		w.check(t)
		if len(f.Stations())+len(f.APs()) != 0 {
			t.Errorf("%v, %v", f.Stations(), f.APs())
		}
		f.SetFaults(wifi.Faults{})
		if err := f.SetStation(t.Context(), station("Home", "secret123")); err != nil {
			t.Error(err)
		}
	})
}

// TestDelays replaces all times.
func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := point("Deaf", "", -50)
		deaf.NoAddress = true
		f := wifi.NewFake(wifi.FakeConfig{
			AccessPoints: []wifi.FakeAccessPoint{point("Home", "secret123", -50), deaf},
			Delays: wifi.Delays{Scan: -1, Associate: 1 * time.Second, Address: 2 * time.Second, Reject: 3 * time.Second,
				NotFound: 4 * time.Second, NoAddress: 5 * time.Second, AP: -1},
		})
		w := watch(t, f)
		_, err := f.Scan(t.Context())
		err = errors.Join(err, f.SetAP(t.Context(), ap))
		for _, s := range []wifi.Station{station("Home", "secret123"), station("Home", "secret124"), station("Nowhere", ""), station("Deaf", "")} {
			synctest.Wait()
			err = errors.Join(err, f.SetStation(t.Context(), s))
			time.Sleep(10 * time.Second)
		}
		if err != nil {
			t.Error(err)
		}
		w.check(t, "0s disconnected ", "0s disconnected  ap 192.168.4.1",
			"0s connecting Home ap 192.168.4.1", "1s connected Home ap 192.168.4.1", "3s got ip Home ip 192.0.2.18 ap 192.168.4.1",
			"10s connecting Home ap 192.168.4.1", "13s disconnected Home (wrong password) ap 192.168.4.1",
			"20s connecting Nowhere ap 192.168.4.1", "24s disconnected Nowhere (not found) ap 192.168.4.1",
			"30s connecting Deaf ap 192.168.4.1", "31s connected Deaf ap 192.168.4.1", "36s disconnected Deaf (no address) ap 192.168.4.1")
	})
}

// TestRecordsAreBounded sets the station more often than is remembered.
func TestRecordsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wifi.NewFake(wifi.FakeConfig{})
		for n := range 250 {
			if err := f.SetStation(t.Context(), wifi.Station{SSID: string(rune('a' + n%26))}); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.Stations(); len(got) != 100 || got[0].SSID != string(rune('a'+150%26)) || got[99].SSID != string(rune('a'+249%26)) {
			t.Errorf("%d, %+v", len(got), got)
		}
	})
}

// TestConcurrent uses all methods from many goroutines, outside a bubble.
func TestConcurrent(t *testing.T) {
	home := point("Home", "secret123", -50)
	f := wifi.NewFake(wifi.FakeConfig{AccessPoints: []wifi.FakeAccessPoint{home},
		Delays: wifi.Delays{Scan: -1, Associate: -1, Address: -1, Reject: -1, NotFound: -1, NoAddress: -1, AP: -1}})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for range 100 {
				var last wifi.Status
				stop := f.Watch(func(s wifi.Status) {
					if s == last && s != (wifi.Status{}) {
						t.Errorf("%+v told twice", s)
					}
					last = s
				})
				err := errors.Join(f.SetStation(t.Context(), station("Home", "secret123")), f.SetAP(t.Context(), ap))
				f.SetAccessPoints(home)
				f.SetRadio(n%2 == 0)
				f.SetFaults(wifi.Faults{})
				f.Stations()
				f.APs()
				if _, scan := f.Scan(t.Context()); scan != nil && scan != wifi.ErrRadioOff || err != nil {
					t.Error(err, scan)
				}
				stop()
			}
		})
	}
	wg.Wait()
	done := make(chan struct{})
	var once sync.Once
	defer f.Watch(func(s wifi.Status) {
		if s.Station == wifi.GotIP && s.APIP.IsValid() {
			once.Do(func() { close(done) })
		}
	})()
	f.SetRadio(true)
	if err := errors.Join(f.SetStation(t.Context(), station("Home", "secret123")), f.SetAP(t.Context(), ap)); err != nil {
		t.Error(err)
	}
	<-done
}
