package wifi

import (
	"context"
	"net/netip"
	"time"
)

// timer is the one step that is to come next.
type timer struct {
	t     *time.Timer
	count int // of steps; an older one is not done any more
}

// cancel forgets the step that was to come.
func (t *timer) cancel() {
	t.count++
	if t.t != nil {
		t.t.Stop()
	}
}

// after does a step later, with f.mu held, unless another one takes its place. f.mu
// is held.
func (f *Fake) after(t *timer, d time.Duration, step func()) {
	t.cancel()
	mine := t.count
	t.t = time.AfterFunc(d, func() {
		f.change(func() {
			if t.count == mine {
				step()
			}
		})
	})
}

// change does something with f.mu held and tells the watchers.
func (f *Fake) change(do func()) {
	f.mu.Lock()
	do()
	f.mu.Unlock()
	f.board.tell()
}

// SetStation implements [Network].
func (f *Fake) SetStation(ctx context.Context, s Station) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.Validate(); err != nil {
		return err
	}
	var err error
	f.change(func() {
		if err = f.faults.SetStation; err == nil {
			f.stations = record(f.stations, s)
			f.join()
		}
	})
	return err
}

// setting returns the setting of the station that is in force.
func (f *Fake) setting() Station {
	if len(f.stations) == 0 {
		return Station{}
	}
	return f.stations[len(f.stations)-1]
}

// join begins anew to make of the station what is set.
func (f *Fake) join() {
	f.station.cancel()
	s := f.setting()
	f.target, f.found = f.find(s)
	switch {
	case !s.Enable:
		f.drop("", NoReason)
		return
	case f.radioOff:
		f.drop(s.SSID, RadioOff)
		return
	}
	f.board.update(func(st *Status) {
		st.Station, st.Reason, st.SSID, st.StationIP = Connecting, NoReason, s.SSID, netip.Addr{}
	})
	switch {
	case !f.found:
		f.after(&f.station, f.delays.NotFound, func() { f.drop(s.SSID, NotFound) })
	case f.target.Auth != AuthOpen && f.target.Password != s.Password:
		f.after(&f.station, f.delays.Reject, func() { f.drop(s.SSID, WrongPassword) })
	default:
		f.after(&f.station, f.delays.Associate, func() { f.associated(s) })
	}
}

// associated is what comes after the password.
func (f *Fake) associated(s Station) {
	f.board.update(func(st *Status) { st.Station = Connected })
	addr := f.target.Address
	if s.IP.IsValid() {
		addr = s.IP
	} else if f.target.NoAddress {
		f.after(&f.station, f.delays.NoAddress, func() { f.drop(s.SSID, NoAddress) })
		return
	}
	f.after(&f.station, f.delays.Address, func() {
		f.board.update(func(st *Status) { st.Station, st.StationIP = GotIP, addr })
	})
}

// drop makes the station disconnected.
func (f *Fake) drop(ssid string, why Reason) {
	f.board.update(func(st *Status) {
		st.Station, st.Reason, st.SSID, st.StationIP = Disconnected, why, ssid, netip.Addr{}
	})
}

// find returns the access point that a station joins.
func (f *Fake) find(s Station) (best FakeAccessPoint, found bool) {
	for _, p := range f.points {
		if p.SSID != s.SSID || p.Auth == AuthWPA2Enterprise || (p.Auth == AuthOpen) != (s.Password == "") {
			continue
		}
		if !found || p.RSSI > best.RSSI {
			best, found = p, true
		}
	}
	return best, found
}

// SetAccessPoints replaces the access points. A station that has lost its own is
// disconnected, and joins another one of that name, or that one when it is back.
func (f *Fake) SetAccessPoints(points ...FakeAccessPoint) {
	f.change(func() {
		f.points = complete(points)
		f.look()
	})
}

// look makes the station notice that the access points have changed.
func (f *Fake) look() {
	if f.found && f.still() {
		return
	}
	s := f.setting()
	had := f.found
	f.target, f.found = f.find(s)
	st := f.board.get()
	switch {
	case !s.Enable || f.radioOff || st.Reason == WrongPassword:
		return
	case st.Station > Connecting:
		f.station.cancel()
		f.drop(s.SSID, Lost)
	case st.Station == Connecting && had:
		f.join()
		return
	}
	if f.found {
		f.join()
	}
}

// still reports whether the target is there as it was, except for its strength.
func (f *Fake) still() bool {
	for _, p := range f.points {
		p.RSSI = f.target.RSSI
		if p == f.target {
			return true
		}
	}
	return false
}

// SetRadio switches the radio on or off. When it is on again, the station and the
// module's own access point come back by themselves.
func (f *Fake) SetRadio(on bool) {
	f.change(func() {
		if f.radioOff != on {
			return
		}
		f.radioOff = !on
		f.join()
		f.serve()
	})
}

// SetAP implements [Network].
func (f *Fake) SetAP(ctx context.Context, a AP) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.Validate(); err != nil {
		return err
	}
	var err error
	f.change(func() {
		if err = f.faults.SetAP; err == nil {
			f.aps = record(f.aps, a)
			f.serve()
		}
	})
	return err
}

// serve begins anew to make of the module's own access point what is set.
func (f *Fake) serve() {
	f.ap.cancel()
	f.board.update(func(st *Status) { st.APIP = netip.Addr{} })
	if len(f.aps) == 0 {
		return
	}
	if a := f.aps[len(f.aps)-1]; a.Enable && !f.radioOff {
		f.after(&f.ap, f.delays.AP, func() {
			f.board.update(func(st *Status) { st.APIP = a.IP })
		})
	}
}
