// Package aws is the dialect of AWS IoT device shadows for package shadow: one
// classic or named shadow over MQTT. Package shadow/service speaks the same
// dialect on the other side.
//
//	b, err := aws.New(transport, "thermostat-7", "") // "" is the classic shadow
//	s := shadow.NewSyncer(shadow.Config{Backend: b, Deliver: toHost})
//
// # Topics
//
// With the prefix $aws/things/THING/shadow, or $aws/things/THING/shadow/name/NAME:
//
//	published    get, update
//	subscribed   update/delta, update/accepted, update/rejected,
//	             get/accepted, get/rejected, delete/accepted
//
// All is QoS 1; the subscriptions are made by one call of the transport. A
// deletion by somebody else is handed on as a [shadow.Delta] without a state.
//
// # Requests
//
// One request is under way at a time; others wait. It carries a clientToken, 8
// random hexadecimal digits for each Backend, a dash and a counter, and ends with
// the answer that echoes it, with an error of the transport, or after 10 seconds
// with [shadow.ErrTimeout]. A refusal is an [*shadow.Error] with the code of AWS.
// One without a token counts for the request under way, except for 400 and 415,
// which say that a payload could not be read: those are for other clients.
// Answers to other clients are ignored. Requests never carry a version.
//
// # Limits
//
// A patch has up to [MaxPatch] bytes, nested up to [MaxDepth], at most one in
// 100 ms; [Backend.Limits] says so, and the Syncer obeys. Incoming payloads of
// more than [MaxPayload] bytes, of other shapes than documented, or with a known
// member twice are counted and ignored. Nothing but the request under way is
// kept.
//
// # Concurrency
//
// All methods are safe for concurrent use. There are no goroutines.
//
// Sources: AWS IoT Core developer guide, "Device Shadow MQTT topics", "Device
// Shadow service documents" and "Device Shadow error messages".
package aws
