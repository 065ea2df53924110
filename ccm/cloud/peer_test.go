package cloud_test

import (
	"bufio"
	"encoding/binary"
	"net"
	"runtime"
	"testing"
	"time"
)

// peer is a server that a test plays itself.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	return &peer{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

// next returns the next packet, kind 0 at the end of the connection.
func (p *peer) next() (kind byte, body []byte) {
	kind, body, err := readPacket(p.r)
	if err != nil {
		return 0, nil
	}
	return kind, body
}

// want reads a packet and fails the test if it is of another type. At the end of
// the connection it ends the server.
func (p *peer) want(kind byte) (body []byte) {
	p.t.Helper()
	got, body := p.next()
	if got == 0 {
		runtime.Goexit()
	}
	if got&0xf0 != kind&0xf0 {
		p.t.Errorf("packet %#02x, want %#02x", got, kind)
	}
	return body
}

// accept answers CONNECT.
func (p *peer) accept(sessionPresent byte) (connect []byte) {
	p.t.Helper()
	connect = p.want(0x10)
	p.Write([]byte{0x20, 2, sessionPresent, 0})
	return connect
}

// grant answers a SUBSCRIBE with a code for each filter and returns the filters.
func (p *peer) grant(body []byte, code func(filter string) byte) (filters []string) {
	answer := append([]byte{0x90, 0}, body[:2]...)
	for rest := body[2:]; len(rest) > 2; {
		n := int(binary.BigEndian.Uint16(rest))
		f := string(rest[2 : 2+n])
		filters = append(filters, f)
		answer = append(answer, code(f))
		rest = rest[2+n+1:]
	}
	answer[1] = byte(len(answer) - 2)
	p.Write(answer)
	return filters
}

func grantAll(string) byte { return 1 }

// serve answers everything until the end of the connection.
func (p *peer) serve() {
	for {
		kind, body := p.next()
		switch kind & 0xf0 {
		case 0, 0xe0:
			return
		case 0x30:
			if kind&6 == 2 {
				n := 2 + int(binary.BigEndian.Uint16(body))
				p.Write([]byte{0x40, 2, body[n], body[n+1]})
			}
		case 0x80:
			p.grant(body, grantAll)
		case 0xa0:
			p.Write([]byte{0xb0, 2, body[0], body[1]})
		case 0xc0:
			p.Write([]byte{0xd0, 0})
		}
	}
}

// linger reads and forgets until the end of the connection.
func (p *peer) linger() {
	for {
		if kind, _ := p.next(); kind == 0 {
			return
		}
	}
}

// publish returns a PUBLISH packet. id 0 means QoS 0.
func publish(topic, payload string, id uint16) []byte {
	body := append(binary.BigEndian.AppendUint16(nil, uint16(len(topic))), topic...)
	kind := byte(0x30)
	if id != 0 {
		kind = 0x32
		body = binary.BigEndian.AppendUint16(body, id)
	}
	body = append(body, payload...)
	return append(header(kind, len(body)), body...)
}

// header returns a fixed header.
func header(kind byte, size int) []byte {
	b := []byte{kind}
	for ; size >= 128; size /= 128 {
		b = append(b, byte(size)|0x80)
	}
	return append(b, byte(size))
}

// took returns for how long f runs.
func took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}
