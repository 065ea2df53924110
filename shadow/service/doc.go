// Package service is a device shadow service for any MQTT broker: it keeps a
// document with the desired and the reported state of each thing, and speaks with
// devices and programs on the topics, and with the rules, of the AWS IoT Device
// Shadow service.
//
// # Run
//
// A [Service] needs a [shadow.Transport] to the broker, such as Module.Transport of
// package ccm, and a directory to store the shadows in. One instance serves a broker.
//
//	s, err := service.New(service.Config{Transport: transport, Dir: "/var/lib/shadows"})
//	if err != nil { ... }
//	err = s.Run(ctx) // until ctx ends
//
// [Service.Update], [Service.Get] and [Service.Delete] do for the program itself
// what requests do for others. They work without Run too.
//
// # Topics
//
// P stands for $aws/things/THING/shadow, the classic shadow of a thing, or
// $aws/things/THING/shadow/name/NAME, one of its named ones. THING has 1 to 128 and
// NAME 1 to 64 of the characters A-Z a-z 0-9 : _ -
//
//	request     payload                               answer
//	P/get       empty, {} or {"clientToken":T}        P/get/accepted
//	P/update    {"state":{"desired":D,"reported":R},  P/update/accepted, then P/update/delta
//	            "clientToken":T,"version":N}          and P/update/documents
//	P/delete    as get                                P/delete/accepted
//
// or, for each, P/.../rejected with a code and a message. Everything is published
// at QoS 1, to everybody who has subscribed: requests and answers belong together
// by the clientToken, if any. Requests must not be retained: the broker would
// deliver them again at each connect. Which client may use the topics of which thing is for
// the broker to decide, by its access control list.
//
// # Rules
//
// D and R are merge patches (RFC 7396), one of them may be missing: null removes a
// member, or the section, and a state of null both sections. Each update makes the
// next version; one that names a version other than the current is refused with
// code 409. A shadow that does not exist is at version 0, or at that at which it was
// deleted: versions go on. Deleting does not make a version, and update/delta and
// update/accepted have the same.
//
// The delta holds what of desired is not the same in reported; see [shadow.Diff].
// It is published after every update that leaves a difference, whichever section was
// changed, and always whole.
//
// The metadata have, in the shape of the state, the Unix time of the last change of
// each value. Numbers and strings come back as they were spelled. Sections that are
// empty, and members of requests that mean nothing, are left out.
//
// Codes and texts of refusals are those of AWS, besides 400 "Invalid thing or shadow
// name" and 429 for too many things, shadows or requests. As on AWS, null is refused
// inside arrays, and more than 6 levels inside a section are. 500 says that the
// disk failed: the change was not made, but may be there after a restart.
//
// # Storage
//
// A shadow is one file, JSON that people can read, replaced as a whole before an
// update is answered: what was accepted survives a crash and a power cut. Of a
// request that was not answered the shadow is as before or as after. A file that
// holds no shadow is set aside at the start as *.broken and reported.
//
// Of a deleted shadow the version stays, and is forgotten only when there is no room
// for another thing or shadow otherwise, the oldest first.
//
// # Lost messages
//
// While the broker cannot be reached calls work, but what they would publish is
// lost; so are requests, as far as the broker does not keep them. The delta is made
// up for: when the broker is back, update/delta is published for each shadow that
// was changed meanwhile and has a difference, and after a start for each that has
// one. A device that has seen it knows by its version. Clients that were not answered
// repeat their requests, and devices that lost their own connection get their shadow
// when they are back, as with AWS.
//
// # Limits
//
//	things, shadows of a thing, document   see [Config]
//	nesting inside a section               6
//	clientToken                            64 bytes
//	request                                twice the document and 1024 bytes
//	message                                127 KiB; a longer one goes without metadata
//	requests that wait                     64 for each worker, then code 429
//	wait for an acknowledgement            10 s
//
// An idle shadow takes some 300 bytes of memory and its document. A full table of
// full documents, with the defaults, would be 8 GB: whoever may use the topics of a
// thing can fill its share.
//
// # Concurrency
//
// All methods are safe for concurrent use. Requests for a thing are done one after
// another, and what they publish is published in the order of versions; things are
// served in parallel.
//
// # Sources
//
// AWS IoT developer guide, "Device Shadow service documents" and "Device Shadow
// error messages"; the recordings of the AWS device SDKs in testdata/vectors, which
// are tests of this package. Where AWS is not documented: a payload of get or delete
// may be white space, a version or clientToken of null is none, and update/documents
// of a new shadow has an empty previous state.
package service
