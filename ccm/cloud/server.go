package cloud

import (
	"errors"
	"net"
	"strconv"
	"strings"
)

// server is a parsed entry of Config.Servers.
type server struct {
	host    string // without brackets
	address string // host:port
	tls     bool
}

// The ports of servers without one.
const (
	plainPort = "1883"
	tlsPort   = "8883"
)

var (
	errServerScheme = errors.New("the scheme must be mqtt or mqtts")
	errServerForm   = errors.New("it must be HOST[:PORT], mqtt://HOST[:PORT] or mqtts://HOST[:PORT], without user and path")
	errServerPort   = errors.New("the port must be 1 to 65535")
	errServerTLS    = errors.New("mqtt:// means no TLS, but a CA or a certificate is set")
)

// parseServer reads an entry of Config.Servers. secure says whether a server
// without a scheme is reached over TLS. The errors do not quote the entry, which
// may hold a password.
func parseServer(entry string, secure bool) (server, error) {
	s := server{tls: secure}
	scheme, rest, has := strings.Cut(entry, "://")
	switch {
	case !has:
		rest = entry
	case scheme == "mqtts":
		s.tls = true
	case scheme != "mqtt":
		return s, errServerScheme
	case secure:
		return s, errServerTLS
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" || strings.ContainsAny(rest, "@/?#% \t\r\n") {
		return s, errServerForm
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil { // no port
		if strings.HasPrefix(rest, "[") != strings.HasSuffix(rest, "]") {
			return s, errServerForm
		}
		host, port = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]"), plainPort
		if s.tls {
			port = tlsPort
		}
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return s, errServerForm
		}
	}
	if host == "" || strings.ContainsAny(host, "[]") {
		return s, errServerForm
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return s, errServerPort
	}
	s.host, s.address = host, net.JoinHostPort(host, port)
	return s, nil
}

// local reports whether the server is this machine by its name.
func (s server) local() bool {
	if ip := net.ParseIP(s.host); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(s.host, "localhost")
}

// remote reports whether a connection to a local server has left the machine.
func remote(conn net.Conn) bool {
	a, is := conn.RemoteAddr().(*net.TCPAddr)
	return is && !a.IP.IsLoopback()
}
