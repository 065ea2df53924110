package ccmtest

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/ccmkit/ccmkit/internal/topic"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Why connections end.
var (
	errRefused = errors.New("ccmtest: CONNECT refused")
	errGone    = errors.New("ccmtest: connection gone")
)

// brokerHook is how the broker listens in on mochi. No hook is called with one
// of mochi's locks held.
type brokerHook struct {
	mqtt.HookBase
	b   *Broker
	srv *mqtt.Server
}

// ID returns the name that mochi logs.
func (*brokerHook) ID() string { return "ccmtest" }

// Provides tells mochi which hooks there are.
func (*brokerHook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnDisconnect,
		mqtt.OnACLCheck, mqtt.OnSubscribe, mqtt.OnSubscribed, mqtt.OnUnsubscribe, mqtt.OnPacketRead, mqtt.OnPacketProcessed, mqtt.OnPacketEncode,
		mqtt.OnPacketSent, mqtt.OnPublish, mqtt.OnPublishDropped, mqtt.OnQosPublish, mqtt.OnWill, mqtt.OnWillSent:
		return true
	}
	return false
}

// event returns an event of a client.
func (h *brokerHook) event(kind BrokerEventKind, cl *mqtt.Client) BrokerEvent {
	e := BrokerEvent{At: time.Now(), Kind: kind}
	if !cl.Net.Inline {
		e.Client = cl.ID
	}
	return e
}

// message notes an event that is about a message.
func (h *brokerHook) message(kind BrokerEventKind, cl *mqtt.Client, pk packets.Packet) {
	if h.b.listened() {
		e := h.event(kind, cl)
		e.message(pk)
		if c, ours := cl.Net.Conn.(*brokerConn); ours && kind == BrokerPublish {
			e.ID = c.original(e.ID, false)
		}
		h.b.note(e)
	}
}

// OnConnect judges a CONNECT, and ends an older connection of the client first:
// mochi removes the session of a client that has just gone, and would remove
// that of its successor if both came at the same time.
func (h *brokerHook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	b := h.b
	e := h.event(BrokerConnect, cl)
	e.Username, e.Clean = string(pk.Connect.Username), pk.Connect.Clean
	e.KeepAlive = time.Duration(pk.Connect.Keepalive) * time.Second
	b.mu.Lock()
	e.Code = b.refuse
	b.mu.Unlock()
	if e.Code == 0 && b.o.Connect != nil {
		e.Code = b.o.Connect(e, pk.Connect.Password)
	}
	if e.Code != 0 {
		b.stats.refused.Add(1)
		b.note(e)
		_, _ = cl.Net.Conn.Write([]byte{packets.Connack << 4, 2, 0, e.Code}) // or the client has gone
		return errRefused
	}
	if c, ours := cl.Net.Conn.(*brokerConn); ours {
		c.client.Store(&cl.ID)
		b.mu.Lock()
		old := b.byID[cl.ID]
		b.byID[cl.ID] = c
		b.mu.Unlock()
		if old != nil {
			old.cut()
			<-old.done
		}
	}
	b.stats.connects.Add(1)
	b.note(e)
	return nil
}

// OnConnectAuthenticate lets in whom OnConnect has not refused.
func (*brokerHook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnSessionEstablish puts the messages that wait in a session in order: mochi
// sends them again sorted by the low 16 bits of their time stamps. Until
// OnSessionEstablished nobody publishes.
func (h *brokerHook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	old, there := h.srv.Clients.Get(cl.ID)
	if !there {
		return
	}
	if c, ours := cl.Net.Conn.(*brokerConn); ours {
		c.take()
	}
	waiting := old.State.Inflight.GetAll(false)
	slices.SortFunc(waiting, func(x, y packets.Packet) int { return cmp.Compare(x.Created, y.Created) })
	for i, pk := range waiting {
		pk.Created = int64(i + 1)
		old.State.Inflight.Set(pk)
	}
}

// OnSessionEstablished notes that the client has its CONNACK.
func (h *brokerHook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if c, ours := cl.Net.Conn.(*brokerConn); ours {
		c.give()
	}
	h.b.note(h.event(BrokerConnected, cl))
}

// OnDisconnect notes the end of a connection.
func (h *brokerHook) OnDisconnect(cl *mqtt.Client, err error, _ bool) {
	e := h.event(BrokerDisconnect, cl)
	e.Clean = err == nil
	h.b.stats.disconnects.Add(1)
	h.b.note(e)
}

// OnSubscribe is called before the filters of a SUBSCRIBE go through OnACLCheck.
func (h *brokerHook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if c, ours := cl.Net.Conn.(*brokerConn); ours {
		c.asks.Store(true)
	}
	return pk
}

// OnACLCheck applies Deny and DenyPublish. It is also the last to be called
// before a message is queued for a client.
func (h *brokerHook) OnACLCheck(cl *mqtt.Client, name string, write bool) bool {
	c, ours := cl.Net.Conn.(*brokerConn)
	d := h.b.denied.Load()
	switch {
	case write && d != nil && slices.ContainsFunc(d.publish, func(filter string) bool { return topic.Match(filter, name) }):
		if ours {
			c.cut()
		}
		return false
	case !write && ours && c.asks.Load():
		return d == nil || !slices.Contains(d.subscribe, name)
	case !write && ours && h.queues(cl) && !c.admit():
		cl.Stop(errGone) // so that mochi keeps the message in the session, and does not queue it
	}
	return true
}

// queues reports whether mochi will queue a message for a client, and tell of its
// end in OnPacketSent.
func (h *brokerHook) queues(cl *mqtt.Client) bool {
	full := int(h.srv.Options.Capabilities.MaximumInflight)
	return cl.Properties.ProtocolVersion < 5 && !cl.Closed() && cl.State.Inflight.Len() < full
}

// OnSubscribed notes the filters of a SUBSCRIBE and what was granted.
func (h *brokerHook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	c, ours := cl.Net.Conn.(*brokerConn)
	if !ours {
		return
	}
	c.asks.Store(false)
	for i, f := range pk.Filters {
		e := h.event(BrokerSubscribe, cl)
		e.Topic, e.QoS, e.ID, e.Code = f.Filter, f.Qos, c.original(pk.PacketID, false), codes[i]
		h.b.note(e)
	}
}

// OnUnsubscribe notes the filters of an UNSUBSCRIBE.
func (h *brokerHook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	for _, f := range pk.Filters {
		e := h.event(BrokerUnsubscribe, cl)
		if c, ours := cl.Net.Conn.(*brokerConn); ours {
			e.Topic, e.ID = f.Filter, c.original(pk.PacketID, false)
			h.b.note(e)
		}
	}
	return pk
}

// OnPacketRead notes a PUBACK of a client, with the message that it is for, and
// gives other packets an id of mochi's.
func (h *brokerHook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type != packets.Puback {
		if c, ours := cl.Net.Conn.(*brokerConn); ours {
			c.leave() // mochi does not call OnPacketProcessed for every packet
			if t := pk.FixedHeader.Type; t == packets.Publish || t == packets.Pubrel {
				c.enter()
			}
			pk = c.alias(cl, pk)
		}
		return pk, nil
	}
	h.b.stats.pubacks.Add(1)
	if h.b.listened() {
		e := h.event(BrokerPuback, cl)
		e.ID = pk.PacketID
		if m, there := cl.State.Inflight.Get(pk.PacketID); there {
			e.message(m)
		}
		h.b.note(e)
	}
	return pk, nil
}

// OnPacketProcessed notes that a message of a client has been handed on.
func (*brokerHook) OnPacketProcessed(cl *mqtt.Client, _ packets.Packet, _ error) {
	if c, ours := cl.Net.Conn.(*brokerConn); ours {
		c.leave()
	}
}

// OnPacketSent notes a message that was written to a client.
func (h *brokerHook) OnPacketSent(cl *mqtt.Client, pk packets.Packet, _ []byte) {
	if pk.FixedHeader.Type != packets.Publish {
		return
	}
	if c, ours := cl.Net.Conn.(*brokerConn); ours {
		c.written()
		defer c.told()
	}
	h.b.stats.delivered.Add(1)
	h.message(BrokerDeliver, cl, pk)
}

// OnPublish notes a message, and stamps it with a number that grows with each
// one.
func (h *brokerHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	h.b.stats.published.Add(1)
	pk.Created = h.b.stamp.Add(1)
	h.message(BrokerPublish, cl, pk)
	return pk, nil
}

// OnQosPublish stamps a will that is now in the session of a client, as OnPublish
// does other messages.
func (h *brokerHook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if t := pk.Created; pk.FixedHeader.Type == packets.Publish && t > maxSession && t < firstStamp { // not one of OnSessionEstablish
		pk.Created = h.b.stamp.Add(1)
		cl.State.Inflight.Set(pk)
	}
}

// OnWill begins to publish the will of a client.
func (*brokerHook) OnWill(cl *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	if c, ours := cl.Net.Conn.(*brokerConn); ours {
		c.enter()
	}
	return will, nil
}

// OnWillSent notes the will of a client.
func (h *brokerHook) OnWillSent(cl *mqtt.Client, pk packets.Packet) {
	if c, ours := cl.Net.Conn.(*brokerConn); ours {
		c.leave()
	}
	h.message(BrokerPublish, cl, pk)
}

// OnPublishDropped counts a message that a client did not get.
func (h *brokerHook) OnPublishDropped(*mqtt.Client, packets.Packet) { h.b.stats.dropped.Add(1) }
