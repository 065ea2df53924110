// Package access decides who may call what. Every request that comes through a
// door of a module has an [Origin]; [Gate.Authorize] is the one decision before
// anything is done for it.
//
// # Roles
//
//	Host    a microcontroller on its UART, and the mos tool on a serial line
//	User    an end user on the access point or BLE, while provisioning
//	LAN     a client on the network: HTTP, websocket, TCP, UDP
//	Cloud   RPC over MQTT, and mDash
//	Vendor  the program that embeds the module
//
// # Rules
//
// Without rules of its own, a module lets hosts and the cloud call everything, and
// a client on the network everything but what the program has added, once it has
// logged in. As long as there is no file of passwords, clients on the same machine
// need no login. What a program registers on its module beyond the module's own
// methods is refused to LAN until [Config.Allow] lists it.
//
// The configuration key rpc.acl, or a file it names, replaces these rules, as in
// Mongoose OS:
//
//	[{"method": "Sys.*", "acl": "*"}, {"ch_type": "HTTP", "acl": "+admin,-*"}, {"method": "*", "acl": "-*"}]
//
// The first object whose method (a pattern, see internal/acl) and ch_type (the
// name of a channel, such as [HTTP]) match decides, and if none does the method is
// denied. An acl of "*" or "+*" lets everybody in and "-*" nobody; any other is a
// list of users, for which a login is needed. Rules that cannot be read deny
// everything but to hosts.
//
// A User may call no more than a short list of methods (spec/security.md 4.2), only
// while the provisioning window is open, and ten times a second at most. Rules can
// take from that, but nothing adds to it.
//
// # Login
//
// A [Login] checks digests, in the two forms of Mongoose OS: in the member auth of
// a frame, and in the Authorization header of HTTP (RFC 7616). The passwords are in
// a file of htdigest. Other than there, a nonce is random, made here for one address
// and used once, or by HTTP with a growing count. After five wrong answers within a
// minute, an address has to wait for another minute. [AnswerFrame] and [AnswerHTTP]
// are the client's side.
//
// # Concurrency
//
// Gate and Login are safe for concurrent use, and have no goroutines. An Origin
// must not change while it is used.
//
// Sources: Mongoose OS, rpc-common (mg_rpc.c) and its manual; spec/security.md 1,
// 3 and 4.
package access
