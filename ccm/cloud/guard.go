package cloud

import (
	"encoding/binary"
	"fmt"
)

// The types of packets a server may send (MQTT 3.1.1, section 2.2.1), in the
// upper half of the first byte, with the flags they must have in the lower one.
const (
	packetConnack  = 0x20
	packetPublish  = 0x30 // the flags are DUP, QoS and RETAIN
	packetPuback   = 0x40
	packetPubrel   = 0x62
	packetSuback   = 0x90
	packetUnsuback = 0xb0
	packetPingresp = 0xd0
)

// nextPacket waits for the next packet and checks it, as far as needed before
// memory is taken for it and before paho, which trusts servers, sees it: paho
// takes whatever length is announced, believes CONNACKs with codes that do not
// exist, and panics when SUBACK answers more than was asked.
func (l *link) nextPacket() error {
	if l.welcome.Load() {
		l.setReadDeadline()
	}
	kind, size, header, err := l.fixedHeader()
	if err != nil {
		return err
	}
	if size > l.c.cfg.MaxPacket {
		return malformed(fmt.Sprintf("a packet of %d bytes, at most %d are taken", size, l.c.cfg.MaxPacket))
	}
	if err := l.admit(kind, size, header); err != nil {
		return err
	}
	l.left = header + size
	l.c.stats.bytesIn.Add(uint64(l.left))
	return nil
}

// fixedHeader reads type and length of the next packet, and leaves them in the
// buffer (section 2.2). header is their own length.
func (l *link) fixedHeader() (kind byte, size, header int, err error) {
	for header = 2; ; header++ {
		b, err := l.in.Peek(header)
		if err != nil {
			return 0, 0, 0, err
		}
		digit := b[header-1]
		size |= int(digit&0x7f) << (7 * (header - 2))
		switch {
		case digit&0x80 == 0:
			return b[0], size, header, nil
		case header == 5:
			return 0, 0, 0, malformed("a packet length of more than 4 bytes")
		}
	}
}

// admit checks a packet by its type.
func (l *link) admit(kind byte, size, header int) error {
	if !l.welcome.Load() {
		if kind != packetConnack || size != 2 {
			return malformed(fmt.Sprintf("packet %#02x of %d bytes in the place of CONNACK", kind, size))
		}
		return l.admitConnack(header)
	}
	switch {
	case kind&0xf0 == packetPublish:
		return l.admitPublish(kind, size, header)
	case kind == packetSuback:
		if want := l.answers.Swap(0); want == 0 || size != 2+int(want) {
			return malformed(fmt.Sprintf("a SUBACK of %d bytes for %d filters", size, want))
		}
		return nil
	case kind == packetPuback || kind == packetUnsuback || kind == packetPubrel:
		if size == 2 {
			return nil
		}
	case kind == packetPingresp:
		if size == 0 {
			return nil
		}
	}
	return malformed(fmt.Sprintf("packet %#02x of %d bytes", kind, size))
}

// admitConnack reads CONNACK (section 3.2).
func (l *link) admitConnack(header int) error {
	b, err := l.in.Peek(header + 2)
	if err != nil {
		return err
	}
	switch flags, code := b[header], b[header+1]; {
	case flags > 1 || int(code) >= len(connackReasons):
		return malformed(fmt.Sprintf("CONNACK %02x %02x", flags, code))
	case code != 0:
		return connackCode(code)
	}
	l.welcome.Store(true)
	return nil
}

// admitPublish checks that topic and packet id fit into PUBLISH (section 3.3).
func (l *link) admitPublish(kind byte, size, header int) error {
	least, qos := 2, kind>>1&3
	if qos > 0 {
		least = 4
	}
	if qos == 3 || size < least {
		return malformed(fmt.Sprintf("PUBLISH %#02x of %d bytes", kind, size))
	}
	b, err := l.in.Peek(header + 2)
	if err != nil {
		return err
	}
	if topic := int(binary.BigEndian.Uint16(b[header:])); least+topic > size {
		return malformed(fmt.Sprintf("PUBLISH of %d bytes with a topic of %d", size, topic))
	}
	return nil
}
