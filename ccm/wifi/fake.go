package wifi

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxRecorded bounds what Fake.Stations and Fake.APs return.
const maxRecorded = 100

// FakeAccessPoint is an access point that a [Fake] has.
type FakeAccessPoint struct {
	// AccessPoint is what a scan finds. A zero BSSID, Channel or RSSI gets a value.
	AccessPoint
	Password  Password   // which stations must have; not used if Auth is AuthOpen
	Hidden    bool       // not found by a scan, but can be joined
	Address   netip.Addr // that a station gets by DHCP; zero = 192.0.2.18
	NoAddress bool       // there is no DHCP server
}

// Delays are how long things take in a [Fake]. 0 = the default, below 0 = no time.
type Delays struct {
	Scan      time.Duration // a scan: 2 s
	Associate time.Duration // from SetStation to Connected: 3 s
	Address   time.Duration // from Connected to GotIP: 1.8 s
	Reject    time.Duration // from SetStation to Disconnected with WrongPassword: 8.9 s
	NotFound  time.Duration // from SetStation to Disconnected with NotFound: 10 s
	NoAddress time.Duration // from Connected to Disconnected with NoAddress: 45 s
	AP        time.Duration // from SetAP to its address: 4.5 s
}

// defaultDelays are those of NetworkManager 1.42 with simulated radios as far as
// they were measured (testbed.md section 4): 4.8 s to an address, 8.9 s to a wrong
// password, 4.5 s to an access point. 45 s is how long it waits for DHCP. The
// others are a guess.
var defaultDelays = Delays{
	Scan:      2 * time.Second,
	Associate: 3 * time.Second,
	Address:   1800 * time.Millisecond,
	Reject:    8900 * time.Millisecond,
	NotFound:  10 * time.Second,
	NoAddress: 45 * time.Second,
	AP:        4500 * time.Millisecond,
}

// withDefaults returns the delays with those that are 0 replaced.
func (d Delays) withDefaults() Delays {
	def := defaultDelays
	return Delays{
		Scan:      max(0, cmp.Or(d.Scan, def.Scan)),
		Associate: max(0, cmp.Or(d.Associate, def.Associate)),
		Address:   max(0, cmp.Or(d.Address, def.Address)),
		Reject:    max(0, cmp.Or(d.Reject, def.Reject)),
		NotFound:  max(0, cmp.Or(d.NotFound, def.NotFound)),
		NoAddress: max(0, cmp.Or(d.NoAddress, def.NoAddress)),
		AP:        max(0, cmp.Or(d.AP, def.AP)),
	}
}

// Faults are the errors that the methods of a [Fake] return. nil = none. What a
// refused setting has asked for is not done and not recorded.
type Faults struct{ Scan, SetStation, SetAP error }

// FakeConfig says what a [Fake] has.
type FakeConfig struct {
	AccessPoints []FakeAccessPoint
	Delays       Delays
	Ethernet     netip.Addr // of a wired network; zero = none
}

// Fake is a [Network] in memory. Make it with [NewFake]. It has no goroutine:
// nothing is to be closed, and it works in a synctest bubble.
//
// A station joins the strongest access point that has its SSID and the same kind of
// security: an open one if the station has no password, otherwise one with a
// password. It cannot join an AuthWPA2Enterprise one.
type Fake struct {
	delays Delays
	board  board

	mu       sync.Mutex
	points   []FakeAccessPoint
	faults   Faults
	radioOff bool
	stations []Station // those that were set, the last one is in force
	aps      []AP
	target   FakeAccessPoint // that the station has, or is to join
	found    bool            // there is a target
	station  timer           // the next step of the station
	ap       timer           // of the module's own access point
}

var _ Network = (*Fake)(nil)

// Format implements fmt.Formatter: what is inside, passwords too, is not shown.
func (f *Fake) Format(s fmt.State, _ rune) { io.WriteString(s, "wifi.Fake") }

// NewFake returns a network with its radio on and nothing enabled.
func NewFake(cfg FakeConfig) *Fake {
	f := &Fake{delays: cfg.Delays.withDefaults(), points: complete(cfg.AccessPoints)}
	f.board.status.EthIP = cfg.Ethernet
	return f
}

// complete returns a copy of access points in which everything has a value.
func complete(points []FakeAccessPoint) []FakeAccessPoint {
	points = slices.Clone(points)
	for n := range points {
		p := &points[n]
		if p.BSSID == (BSSID{}) {
			sum := fnv.New64a()
			sum.Write([]byte(p.SSID))
			copy(p.BSSID[:], sum.Sum(nil))
			p.BSSID[0] = p.BSSID[0]&^1 | 2 // of one station, locally administered
		}
		p.Channel = cmp.Or(p.Channel, 6)
		p.RSSI = cmp.Or(p.RSSI, -50)
		if !p.Address.IsValid() {
			p.Address = netip.AddrFrom4([4]byte{192, 0, 2, 18})
		}
	}
	return points
}

// Scan implements [Network].
func (f *Fake) Scan(ctx context.Context) ([]AccessPoint, error) {
	wait := time.NewTimer(f.delays.Scan)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-wait.C:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.faults.Scan != nil:
		return nil, f.faults.Scan
	case f.radioOff:
		return nil, ErrRadioOff
	}
	var found []AccessPoint
	for _, p := range f.points {
		if !p.Hidden {
			found = append(found, p.AccessPoint)
		}
	}
	slices.SortStableFunc(found, func(a, b AccessPoint) int { return cmp.Compare(b.RSSI, a.RSSI) })
	return found, nil
}

// Status implements [Network].
func (f *Fake) Status() Status { return f.board.get() }

// Watch implements [Network].
func (f *Fake) Watch(g func(Status)) (stop func()) { return f.board.watch(g) }

// Stations returns the settings that SetStation has taken, in order, the last 100
// of them.
func (f *Fake) Stations() []Station {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.stations)
}

// APs returns the settings that SetAP has taken, in order, the last 100 of them.
func (f *Fake) APs() []AP {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.aps)
}

// record appends to a list, which stays bounded.
func record[T any](list []T, one T) []T {
	if len(list) == maxRecorded {
		list = append(list[:0], list[1:]...)
	}
	return append(list, one)
}

// SetFaults makes methods fail from now on.
func (f *Fake) SetFaults(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// SetEthernet plugs in a wired network, or with the zero address unplugs it.
func (f *Fake) SetEthernet(addr netip.Addr) {
	f.board.update(func(s *Status) { s.EthIP = addr })
	f.board.tell()
}
