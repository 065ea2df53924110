// Package channel has the doors of a module: HTTP with RPC over POST and
// websockets, the serial line of the mos tool, TCP, UDP, and the services of BLE,
// without the radio. Behind each of them stands one [Service], which reads
// frames, asks package access who may call what, runs the handlers and makes the
// replies. RPC over MQTT uses the Service too.
//
// # Serve
//
// Make a Service, then open doors with a role each. The role of a door is fixed:
// a listener on the access point is access.User, any other listener on the
// network is access.LAN, a serial port for mos is access.Host.
//
//	s, err := channel.New(channel.Config{ID: id, Gate: gate, Login: login, Lookup: lookup})
//	...
//	web := channel.NewHTTP(s, channel.HTTPConfig{Role: access.LAN})
//	l, err := channel.Listen(ctx, "80")
//	...
//	err = web.Serve(ctx, l) // until ctx ends
//
// [ServeTCP], [ServeUDP] and [ServeSerial] are the other doors. [Share] lets one
// serial port serve a host and mos. [NewBLERPC] and [NewBLEConfig] are the two
// BLE services. All of them return after everything that they started has ended.
//
// # Frames
//
// A frame is a JSON object with id, method and params, and src, dst, tag and
// auth beside them; args is taken for params. Frames are read strictly
// (jsonrpc.Parse). The reply has, in this order and without spaces, id (byte for
// byte as it came), src, dst, tag, and result or error:
//
//	{"id":1410229094880,"src":"ccm_A1B2C3","dst":"mos","result":null}
//
// A frame without id gets no reply of any kind, and neither does a response, an
// error without id, a frame for another device (dst) or one that is no frame.
// Errors have the numbers of Mongoose OS: 404, 400, 403, 500 (see
// jsonrpc.ManagementCode), 401 with the challenge for the login as its message,
// and 429 when too much is going on. Source: Mongoose OS, rpc-common, and what
// the mos tool 2.20 was seen to send and to take.
//
// # HTTP
//
// POST /rpc takes a frame and answers 200 with a frame; POST /rpc/METHOD takes
// the params and answers with the bare result, or with the bare error object and
// its status. Both end with CRLF. GET is for websockets, and for RPC.List and
// Sys.GetInfo. On a User door, POST /rpc also takes {"config":{...}}, as the
// manual of the CCM prints it: Config.Set, then Config.Save with a reboot.
//
// Web pages of others get nowhere: a Host header that is a name of somebody else
// (DNS rebinding) and an Origin other than the Host are refused with 403, there
// are no CORS headers, and a request with an Origin must be application/json. One
// foreign Origin may open a websocket, that of the mos tool.
//
// # Limits
//
// Every door is bounded; [Config] and [Limits] have the numbers. What is too
// long is refused before it is read: HTTP with 413, a websocket is closed with
// 1009, elsewhere it is dropped and counted. When the handlers of a channel, or
// all handlers together, are at work, the answer is 429; the reader goes on. Of
// the connections (HTTP, websocket, TCP) that one Service has, the one that has
// been idle for the longest must go when there are too many.
//
// # Concurrency
//
// Everything is safe for concurrent use unless it says otherwise. Handlers run
// in parallel, but for those that want their turn ([InTurn]); Config.Lookup is called
// in the order in which the frames of a channel arrive.
package channel
