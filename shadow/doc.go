// Package shadow keeps a device and its shadow in the cloud in step. A shadow, or
// twin, is a document of two JSON objects: the desired state, which programs in
// the cloud write, and the reported state, which the device writes. What of the
// desired state is not reported is the delta; the device is told, applies it and
// reports.
//
// # Documents
//
// [Diff] computes a delta, [Merge] applies a merge patch (RFC 7396), [Compose]
// makes one patch of two, [Split] divides what is too long for the device or the
// cloud, and [Equal] compares. They take and return JSON text, copy values as
// they are spelled, so that no digit of a number is lost, and treat names as
// opaque:
//
//	delta, err := shadow.Diff([]byte(`{"on":true,"level":3}`), []byte(`{"on":true}`))
//	// {"level":3}
//
// # The Syncer
//
// A [Syncer] stands between a host, such as a microcontroller on a UART, and a
// [Backend], a shadow in the dialect of a cloud; package shadow/aws has one. The
// backend reaches its broker through a [Transport].
//
//	b, err := aws.New(transport, "thermostat-7", "")
//	s := shadow.NewSyncer(shadow.Config{Backend: b, Deliver: toHost})
//	go s.Run(ctx)
//	s.SetOnline(true)                     // the connection is there
//	s.HostReady()                         // so is the host
//	err = s.Report([]byte(`{"on":true}`)) // the host has reported
//
// On each connection it subscribes, sends what was reported meanwhile, fetches
// the document and delivers what differs. Deltas that come before the document
// has come are held; those that it includes are dropped. From then on each delta
// is delivered, except that
//
//   - one that is not newer than the last one, or than the document, is dropped,
//     and the document fetched if there is something unknown in it;
//   - one that equals the last one is dropped for a minute ([Config].RepeatAfter),
//     unless the host has reported meanwhile what that one asked for: AWS sends a
//     delta after every report as long as anything differs;
//   - of those that bring nothing that was not desired before, 20 are delivered
//     at once and then one in 3 seconds (a 20th of RepeatAfter), so that a host
//     that answers each delta with another wrong report ends in no busy loop;
//   - members that begin with '$', and those in Config.Hidden, are left out.
//
// The versions of deltas are never compared with those of accepted reports, which
// have the same number as the delta that they cause. A fetch resets all.
//
// A host that begins a session ([Syncer.HostReady]) gets all that differs, after
// another fetch; while the connection is lost, by what is known. A host that
// could not take a delta (Deliver has failed) is expected to do that.
//
// Reports are merge patches. One is under way at a time and the others become one
// where that is possible; a patch longer than the cloud takes is divided. What the
// host reports is never delivered back to it.
//
// # Failures
//
//	refusal                        what happens
//	400, 404, 413, 415, other 4xx  the patch is dropped: EventRejected
//	401, 403                       the next try is after a minute
//	409                            the document is fetched, and the patch sent again
//	429                            the next try is after 10 s or more
//	408, 5xx, time-outs, others    the next try is after a random time up to 1 s, 2 s ... 60 s
//	connection lost                the patch waits for the next one
//
// A patch that is sent again has been made one with newer ones, if possible. A
// document that could not be fetched is tried again in the same way; without it
// no delta is delivered, but reports are sent. All this is counted in [Stats] and
// told to Config.Observer.
//
// # Limits
//
//	nesting of any text                jsonrpc.MaxDepth, 32
//	each section of the document       MaxDocument, 128 KiB
//	reports that the cloud has not     MaxUnsent, 64 KiB, and 16 patches that cannot
//	  taken, beside the one under way    be one; then Report returns ErrFull
//	deltas that wait                   16, and 256 KiB; then the oldest are dropped
//	                                     and the document is fetched
//	updates                            one in Limits.Interval
//
// A Syncer keeps the document, the last delta delivered and these queues: less
// than 1 MiB at the worst, usually a few KiB. While nothing happens it has one
// goroutine and no timer. The functions take time linear in the length of their
// texts, for hostile ones too, and at the worst some 40 times as much memory
// while they run.
//
// # Concurrency
//
// The functions have no state. All methods of a Syncer may be called from
// anywhere, also from Deliver and the Observer, and do not block; the two are
// called by the goroutine in Run, one call at a time. While Deliver blocks, or a
// request is under way, the Syncer does nothing else. No lock is held while a
// method of the Backend, Deliver or the Observer runs.
//
// Sources: AWS IoT Core developer guide, "AWS IoT Device Shadow service"; Azure
// IoT Hub developer guide, "Understand and use device twins"; RFC 7396.
package shadow
