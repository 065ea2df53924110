package wifi

import (
	"net/netip"
	"strconv"
)

// State is how far a station has come.
type State uint8

// The states of a station, in their order.
const (
	Disconnected State = iota
	Connecting
	Connected // to the access point, without an address yet
	GotIP
)

var stateNames = [...]string{"disconnected", "connecting", "connected", "got ip"}

// String returns the state as Sys.GetInfo has it: "disconnected", "connecting",
// "connected" or "got ip".
func (s State) String() string { return enumName(stateNames[:], int(s)) }

// Reason is why a station is not connected.
type Reason uint8

// The reasons.
const (
	NoReason      Reason = iota // it is connected, on its way, or not enabled
	WrongPassword               // the access point has refused the password
	NotFound                    // no such access point, or one with another kind of security
	NoAddress                   // no answer of a DHCP server
	Lost                        // the access point has gone
	RadioOff
	Failed // something else
)

var reasonNames = [...]string{"", "wrong password", "not found", "no address", "lost", "radio off", "failed"}

// String returns the reason in words, and "" for NoReason.
func (r Reason) String() string { return enumName(reasonNames[:], int(r)) }

// Status is the state of a network. Statuses can be compared with ==. An address
// that there is not is the zero netip.Addr: ask IsValid before String.
type Status struct {
	Station   State
	Reason    Reason     // why Station is Disconnected
	SSID      string     // the access point that the station is to join, "" if it is not enabled
	StationIP netip.Addr // from GotIP on
	APIP      netip.Addr // of the module's own access point, once it is there
	EthIP     netip.Addr // of a wired network
}

// Online reports whether there is an address of the station or of a wired network,
// so that the cloud may be within reach.
func (s Status) Online() bool { return s.StationIP.IsValid() || s.EthIP.IsValid() }

func enumName(names []string, n int) string {
	if n < len(names) {
		return names[n]
	}
	return "unknown " + strconv.Itoa(n)
}
