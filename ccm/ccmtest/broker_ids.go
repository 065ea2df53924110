package ccmtest

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The packet ids of a client and those of the server have nothing to do with
// each other (MQTT 3.1.1, section 2.3.1), but mochi keeps both in one table: it
// refuses a SUBSCRIBE, and forgets a message that it has sent, if the client uses
// its id at the same time. So the client's packets go by other ids inside mochi,
// taken from those that mochi gives to its own, and answers get the client's
// back.

// alias gives a packet of the client an id of mochi's.
func (c *brokerConn) alias(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	switch pk.FixedHeader.Type {
	case packets.Publish, packets.Subscribe, packets.Unsubscribe:
	default:
		return pk
	}
	if pk.PacketID == 0 || pk.FixedHeader.Qos > 1 && pk.FixedHeader.Type == packets.Publish {
		return pk // the handshake of QoS 2 needs its id
	}
	id, err := cl.NextPacketID()
	if err != nil {
		return pk
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil {
		c.ids = map[uint16]uint16{}
	}
	c.ids[uint16(id)] = pk.PacketID
	pk.PacketID = uint16(id)
	return pk
}

// original returns the client's id for one of mochi's; forget is for the answer
// to the client.
func (c *brokerConn) original(id uint16, forget bool) uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if own, is := c.ids[id]; is {
		if forget {
			delete(c.ids, id)
		}
		return own
	}
	return id
}

// OnPacketEncode gives the answer to a client's packet the client's id.
func (*brokerHook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	switch pk.FixedHeader.Type {
	case packets.Puback, packets.Suback, packets.Unsuback:
		if c, ours := cl.Net.Conn.(*brokerConn); ours {
			pk.PacketID = c.original(pk.PacketID, true)
		}
	}
	return pk
}
