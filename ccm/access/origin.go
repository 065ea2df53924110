package access

import (
	"context"
	"net"
	"net/netip"
)

// Role is what somebody may be to a module.
type Role uint8

// The roles. Nobody may call nothing.
const (
	Nobody Role = iota
	Host        // a microcontroller on its UART, or the mos tool on a serial line
	User        // an end user, through the provisioning window: access point, BLE
	LAN         // a client on the network
	Cloud       // RPC over MQTT, mDash
	Vendor      // the program that embeds the module
)

// String returns the name of the role in lower case.
func (r Role) String() string {
	names := [...]string{"nobody", "host", "user", "lan", "cloud", "vendor"}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}

// The types of channels, as Mongoose OS and rpc.acl name them.
const (
	UART  = "UART"
	HTTP  = "HTTP"
	WSIn  = "WS_in"
	WSOut = "WS_out"
	MQTT  = "MQTT"
	GATTS = "GATTS"
	TCPIn = "TCP_in"
	UDPIn = "UDP_in"
)

// Origin is where a request comes from.
type Origin struct {
	Role    Role
	Channel string // UART, HTTP and so on
	Remote  string // the other end: "192.0.2.7:4711", "UART0", or ""
	User    string // the name of the login, "" before it
}

// Loopback reports whether the other end is a program on this machine.
func (o *Origin) Loopback() bool {
	a, err := netip.ParseAddr(remoteHost(o.Remote))
	return err == nil && a.IsLoopback()
}

// remoteHost returns the host of an address: without port and zone.
func remoteHost(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	if a, err := netip.ParseAddr(remote); err == nil {
		return a.WithZone("").Unmap().String()
	}
	return remote
}

type originKey struct{}

// NewContext returns a context that carries an origin.
func NewContext(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// FromContext returns the origin of the request that a handler serves. nil means
// that the embedding program calls, which may do everything.
func FromContext(ctx context.Context) *Origin {
	o, _ := ctx.Value(originKey{}).(*Origin)
	return o
}
