package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/spf13/cobra"
)

// doorFlags say which doors a daemon has.
type doorFlags struct {
	http, https, tcp, udp, serial string
	cert, key                     string
	share, anonymous              bool
}

func (f *doorFlags) add(cmd *cobra.Command) {
	s := cmd.Flags()
	s.StringVar(&f.http, "http", "", "`[HOST:]PORT` for HTTP and websockets; without HOST, for this machine only")
	s.StringVar(&f.https, "https", "", "`[HOST:]PORT` for the same over TLS")
	s.StringVar(&f.cert, "https-cert", "", "PEM `file` of the certificate for --https")
	s.StringVar(&f.key, "https-key", "", "PEM `file` of its key")
	s.StringVar(&f.tcp, "tcp", "", "`[HOST:]PORT` for mos --port tcp://")
	s.StringVar(&f.udp, "udp", "", "`[HOST:]PORT` for mos --port udp://")
	s.StringVar(&f.serial, "rpc-serial", "", "`ENDPOINT` of a serial line for mos")
	s.BoolVar(&f.share, "share", false, "let mos speak on the lines of the hosts too")
	s.BoolVar(&f.anonymous, "allow-anonymous-lan", false, "demand no login of anybody on the network")
}

// listening returns the addresses of the doors, by the names of their flags.
func (f *doorFlags) listening() map[string]string {
	all := map[string]string{}
	for flag, address := range map[string]string{"--http": f.http, "--https": f.https, "--tcp": f.tcp, "--udp": f.udp} {
		if address != "" {
			all[flag] = withHost(address)
		}
	}
	return all
}

// withHost adds this machine to a bare port.
func withHost(address string) string {
	if !strings.Contains(address, ":") {
		return "127.0.0.1:" + address
	}
	return address
}

// any reports whether there is a door beside the broker.
func (f *doorFlags) any() bool { return f.serial != "" || f.share || len(f.listening()) > 0 }

// public reports whether a door is open to other machines.
func (f *doorFlags) public() bool {
	for _, address := range f.listening() {
		if !isLoopback(address) {
			return true
		}
	}
	return false
}

// isLoopback reports whether an address is one of this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// open opens the doors.
func (f *doorFlags) open(ctx context.Context, d *daemon) (doors []ccm.Door, err error) {
	var opened []interface{ Close() error }
	defer func() {
		if err != nil {
			for _, l := range opened {
				l.Close()
			}
		}
	}()
	secure, err := f.secure()
	if err != nil {
		return nil, err
	}
	hosts := hostNames(d.configured.Management.Store)
	for flag, address := range f.listening() {
		if strings.HasPrefix(flag, "--http") && !d.configured.Management.Store.Bool("http.enable") {
			d.log.Warn("door shut: http.enable is false in the configuration", "door", flag)
			continue
		}
		if flag == "--udp" {
			pc, err := new(net.ListenConfig).ListenPacket(ctx, "udp", address)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", flag, err)
			}
			opened = append(opened, pc)
			d.log.Info("door open", "door", flag, "address", pc.LocalAddr())
			doors = append(doors, ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
				return channel.ServeUDP(ctx, s, pc, channel.UDPConfig{Role: access.LAN})
			}))
			continue
		}
		l, err := channel.Listen(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		opened = append(opened, l)
		d.log.Info("door open", "door", flag, "address", l.Addr())
		doors = append(doors, networkDoor(flag, l, secure, hosts))
	}
	if f.serial != "" {
		door, err := serialDoor(f.serial)
		if err != nil {
			return nil, err
		}
		doors = append(doors, door)
	}
	return doors, nil
}

// networkDoor is the door behind a listener.
func networkDoor(flag string, l net.Listener, secure *tls.Config, hosts func() []string) ccm.Door {
	return ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
		c := channel.HTTPConfig{Role: access.LAN, Hosts: hosts}
		switch flag {
		case "--tcp":
			return channel.ServeTCP(ctx, s, l, channel.TCPConfig{Role: access.LAN})
		case "--https":
			c.TLS = secure
		}
		return channel.NewHTTP(s, c).Serve(ctx, l)
	})
}

// serialDoor is the door of a serial line.
func serialDoor(text string) (ccm.Door, error) {
	at, err := parseEndpoint(text)
	if err != nil {
		return nil, fmt.Errorf("--rpc-serial: %w", err)
	}
	return ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
		channel.ServeSerial(ctx, s, channel.SerialConfig{Open: func(ctx context.Context) (framing.Port, error) {
			port, err := at.open(ctx)
			if err != nil {
				return nil, at.openError(err)
			}
			return port, nil
		}})
		return nil
	}), nil
}

// secure reads the certificate of --https.
func (f *doorFlags) secure() (*tls.Config, error) {
	if f.https == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("--https-cert, --https-key: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

// hostNames returns the names that the module has on the network.
func hostNames(s *config.Store) func() []string {
	return func() []string {
		names := strings.FieldsFunc(s.String("http.allowed_hosts"), func(c rune) bool { return c == ',' || c == ' ' })
		if name := s.String("wifi.sta.dhcp_hostname"); name != "" {
			names = append(names, name)
		}
		return names
	}
}

// share lets mos speak on the line of a host, once there is a Service.
func (d *daemon) share(name string, open func(ctx context.Context) (framing.Port, error)) func(ctx context.Context) (framing.Port, error) {
	if d.shared == nil {
		d.shared = map[string]func(ctx context.Context) (framing.Port, error){}
	}
	d.shared[name] = open
	return func(ctx context.Context) (framing.Port, error) { return d.shared[name](ctx) }
}

// sharePorts is told the Service before a port is opened.
func (d *daemon) sharePorts(s *channel.Service) {
	for name, open := range d.shared {
		d.shared[name] = channel.Share(s, channel.SerialConfig{Open: open, Name: "UART:" + name})
	}
}
