// Package cloud keeps up a connection to an MQTT 3.1.1 broker: it connects, over
// TLS if wanted, connects again when the connection breaks, and subscribes again
// to what the program has subscribed to.
//
// # Connect
//
// Make a [Conn] with [New], which starts nothing, and run it.
//
//	c, err := cloud.New(cloud.Config{
//		Servers:   []string{"mqtts://broker.example"},
//		ClientID:  "device-7",
//		OnMessage: func(m *cloud.Message) { ... },
//		OnStatus:  func(s cloud.Status) { log.Print(s) },
//	})
//	...
//	err = c.Run(ctx) // until ctx ends
//
// OnStatus is told when the connection is there, which is after the server has
// answered to every subscription, when it is lost, and of every failed attempt.
// [Status] has a [Reason] for programs and a text for people.
//
// # Publish
//
// [Conn.Publish] waits until the server has the message, [Conn.PublishFunc]
// calls a function then. A Conn keeps nothing over the end of a connection: what
// is not acknowledged then ends with [ErrLost], and the caller decides whether
// to send it again. What the server does not have, nobody has taken over: a
// program that must not lose messages has a queue above the Conn.
//
// # Subscribe and receive
//
// Subscriptions are kept by the Conn, until [Conn.Unsubscribe], and sent at every
// connect, whether the server says that it remembers the session or not. They
// have no functions of their own: all messages go to Config.OnMessage, in order,
// and [Match] tells what they are for. A filter that the server refuses is
// reported. So is one for which it closes the connection, three times in a row; that
// one is left out for a minute, and then twice as long each time, up to a day.
//
// A message with QoS 1 is acknowledged by [Message.Ack] only, now or later, from
// any goroutine. A message that was not acknowledged comes again on the next
// connection if the server keeps the session: see Config.PersistentSession.
//
// # What is not sent
//
// Servers close the connection for what they do not like, and it is shared by
// everybody who publishes. So topics and filters are checked first; see
// [ValidTopic]. Config.StrictTopics and Config.CheckTopic are for servers that
// want more.
//
// # The next attempt
//
// After a failure, the next server of the list is tried, after a random wait:
// from 0 to 2 s, then up to 4 s and so on to 60 s, and in the end once a minute
// (57.6 to 60 s). A server that refuses us (a CONNACK with code 2 to 5, an alert
// about our certificate) is asked again after 10 s at the soonest; one that has
// closed three connections in a row within 5 s, as happens when two devices have
// the same client id, after 30 s. A connection that lasts 5 s starts anew, with
// the same server.
//
// Every state has a limit: 15 s up to CONNACK, 10 s for an answer to SUBSCRIBE,
// 10 s for a write, 60 s for PUBACK, and for a ping the keepalive interval and
// 15 s.
//
// # TLS
//
// See [TLSConfig]. The server's certificate is always verified. Without TLS, no
// user name or password leaves the machine unless
// Config.AllowPlainCredentials says so, and the log has a warning.
//
// # Hostile servers
//
// What a server sends is checked before memory is taken for it: length (128 KiB
// at most), type, flags, and what is inside as far as it matters; anything wrong
// ends the connection with ReasonPacket. A message with a topic that none may
// have is dropped and acknowledged, as it would come again and again. At most
// 65535 messages may wait for their Ack.
//
// # Limits of MQTT 3.1.1
//
// A server has no way to refuse a message. It acknowledges what the client may
// not publish, and drops it, or closes the connection. QoS 2 is not spoken; a
// message that comes with it, because of an earlier program with the same
// session, is handled like one with QoS 1.
//
// # Concurrency
//
// All methods of a Conn are safe for concurrent use. OnMessage runs on one
// goroutine of the connection, OnStatus on that of Run, and functions given to
// PublishFunc on either. All of them must return soon; they may call
// PublishFunc, SubscribeFunc, UnsubscribeFunc and Ack, and not what waits.
// Run owns all goroutines.
//
// # Memory
//
// A connection without TLS takes 11 goroutines and less than 50 KiB, stacks
// included.
//
// The protocol is spoken by github.com/eclipse/paho.mqtt.golang, of which a new
// client is made for every connection. Protocol facts are from MQTT Version
// 3.1.1 (OASIS Standard, 29 October 2014), whose sections the comments name.
package cloud
