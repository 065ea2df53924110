// Package ccm is a Cloud Communication Module to embed: it joins microcontrollers
// that speak JSON-RPC over a UART to an MQTT broker and a device shadow.
//
// # A module
//
// Say where the hosts and the broker are, and run it:
//
//	m, err := ccm.New(ccm.Config{
//		ID:     "dev-1",
//		Hosts:  []ccm.HostConfig{{Open: openSerial}},
//		Cloud:  &cloud.Config{Servers: []string{"mqtts://broker.example.com"}},
//		Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
//	})
//	if err != nil { ... }
//	err = m.Run(ctx) // until ctx ends
//
// [New] checks the configuration and starts nothing. [Module.Run] owns every
// goroutine, opens ports and connections again when they are gone, and returns
// when all of that has ended. The zero [Config] is a module that does nothing.
//
// # What a host can do
//
// A host calls these methods, with or without an id (CCM manual):
//
//	MQTT.Pub {topic, message, qos=0, retain=false}   null, or {"queued":true}
//	MQTT.Sub {topic, qos=1}                          null; 403: the broker refuses
//	MQTT.Unsub {topic}                               null
//	Shadow.Report PATCH                              null
//	Shadow.Get                                       {"desired","reported","version"}
//	RPC.List, RPC.Ping, RPC.Describe                 about the methods
//	Sys.Info, Sys.GetInfo                            about the module
//	Sys.Time                                         seconds since 1970
//
// and gets these notifications: MQTT.Message {topic, message}, Shadow.Delta DELTA,
// and Sys.Init when the module has started. [Module.Handle] adds methods.
//
// A QoS 1 publication waits in a bounded queue until the broker has it. Its reply
// is null after PUBACK, {"queued":true} when there is no connection, when it is
// lost before PUBACK or PUBACK takes more than ten seconds, and an error 429 when
// the queue is full. QoS 0 without a connection is an error 503. MQTT 3.1.1 does not tell that a broker
// has dropped a publication for want of rights. One that makes the broker close
// the connection, again and again, has to wait, and others pass (see ccm/outbox).
//
// # What the cloud can do
//
// A message for a subscription of a host becomes an MQTT.Message. It is
// acknowledged to the broker when its frame has left on the UART of every host it
// is for, or has been given up: after ten seconds, when 128 messages wait
// already, when it is longer than the host takes, or when it is not UTF-8. All of
// that is counted in [Stats]. Messages are acknowledged when they are done with,
// not in the order in which they came, so that a host that is stuck holds up
// nobody else.
//
// RPC over MQTT is one of the doors to the module, see below, and switched on unless
// Config.NoCloudRPC is set. A frame published to ID/rpc is a call: of the module's
// methods, and beyond them of the methods of the host named ""; host/METHOD always means that host,
// and NAME/METHOD another one. The answer goes to SRC/rpc, where SRC is the
// member src of the frame. Errors of the module's own methods have the codes of
// [jsonrpc.ManagementCode] there, such as 400 for bad params; those of a host come
// as they are. Go programs use [Host.Call] and [Host.Notify].
//
// # Management
//
// [Management] makes a module one that the mos tool, a browser, a phone or the cloud
// can manage: with a configuration (package ccm/config), files (ccm/files), a network
// (ccm/wifi) and doors (ccm/channel).
//
//	store, err := config.Open(ctx, config.Options{Dir: dir})
//	store, files := ...
//	m, err := ccm.New(ccm.Config{
//		Hosts: hosts,
//		Management: ccm.Management{
//			Store: store, Files: files, Reboot: stop,
//			Doors: []ccm.Door{ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
//				return channel.NewHTTP(s, channel.HTTPConfig{Role: access.LAN}).Serve(ctx, listener)
//			})},
//		},
//	})
//
// These methods are there, as far as there is what they are about:
//
//	Config.Get {key, level}                          a value, or a tree
//	Config.Set {config | key, value, level, save, try_once, reboot}
//	Config.Save {try_once, reboot}                   {"saved":true}
//	FS.List, FS.ListExt {path}                       the files
//	FS.Get {filename, offset, len}                   {"data":BASE64,"left":N}
//	FS.Put {filename, data, append, offset}          null
//	FS.Remove {filename}, FS.Rename {src, dst}       null
//	Wifi.Scan, Wifi.SetupSTA, Wifi.SetupAP           the network, as it is now
//	Sys.Reboot {delay_ms=100, abort}                 null
//	Sys.SetDebug {level}                             null
//
// Package ccm/access decides who may call them, for every door and for hosts: see
// there, and [Management].Access. A reply is written before a reboot. What is saved
// takes effect at the latest after one; programs that want to know at once watch
// the store. [CloudFromStore] makes the connection that the mos tool has configured.
//
// # The link to a host
//
// When a port has been opened, the module sends a line end and finds out who is
// there: by Sys.Info, RPC.List and rpc.list, so that all generations of hosts
// built on mjson are known, and others taken as opaque after some seconds. Until
// then messages wait. Sys.Init of a host, a changed "boot" in its Sys.Info, and a
// reset begin a new session: the shadow tells it again what differs.
//
// No frame to a host is longer than it takes, 255 bytes unless it says rx_max or
// the configuration does. Deltas are split by their keys; a value that fits in no
// frame, and anything else that is too long, is counted, logged and not sent. Nor are
// numbers of more than 32 digits or with exponents beyond 308, and what is nested deeper
// than 20, as the C library mjson takes long for the one and does not read the other: a
// call with such params is answered 400. Strings are sent with their characters as they
// are, as mjson does not know all escapes.
//
// # Several hosts
//
// A module has any number of hosts, each with a name, a port, a shadow and
// subscriptions of its own. They do not wait for each other.
//
// # Concurrency
//
// All methods are safe for concurrent use. Handlers of one host run one at a
// time in the order of its requests (see package jsonrpc); handlers for the
// cloud run in parallel, 24 at most; those that read or change the configuration and
// files run one after the other, in the order in which they came, as those of every
// connection to a door do. What the cloud calls of a host is sent to it
// in the order in which it came.
package ccm
