// Package host is the host's side of the wire: what a program needs that plays
// the microcontroller of a Cloud Communication Module (CCM), in Go. It speaks
// JSON-RPC, one object a line, over a UART or anything like it, to a module of
// this library or to an original one.
//
// # Attach
//
// Make a [Host], register what the module and the cloud may call, and [Host.Run]
// it on a port. Run ends with the port, and may then be called again on the
// next one; registrations and subscriptions stay.
//
//	h := host.New(&host.Config{Info: host.Info{FWVersion: "1.0", App: "thermostat"}})
//	h.HandleFunc("Sum", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
//		a, _ := r.Arg(0).Number()
//		b, _ := r.Arg(1).Number()
//		w.Resultf("%g", a+b)
//	})
//	err := h.Run(ctx, port) // framing.Port: a serial port, a pty, TCP, a pipe
//
// The built-in methods are RPC.List, RPC.Ping and Sys.Info. They answer even
// while other handlers are busy.
//
// # Use the cloud
//
// [Host.Publish], [Host.Subscribe], [Host.Report] and [Host.OnDelta] are
// MQTT.Pub, MQTT.Sub, Shadow.Report and Shadow.Delta of the CCM manual;
// [Host.ConfigGet], [Host.ConfigSet] and [Host.ConfigSave] reach the module's
// configuration, and [Host.Call] everything else.
//
// After attaching, and when the module says Sys.Init because it has started
// anew, the module may have lost what it was told: subscriptions are sent again,
// until the module has answered to each, and the function given to [Host.OnInit]
// is called so that the program can report its state.
//
// While no Run is running, calls, notifications and what is made of them return
// [ErrNotAttached]; [Host.Attached] waits for a Run.
//
// # Frames
//
// Frames carry a CRC suffix from the first one on, which hosts and modules
// without CRC ignore; a module of this library answers in kind. Calls are sent
// again when no answer comes; the module runs a repeated call once.
//
// # Concurrency
//
// All methods are safe for concurrent use. Handlers, subscriptions and deltas
// run one at a time in the order in which the module sent them; see package
// jsonrpc for other lanes. A handler may use all methods of the Host, with its
// own ctx: while it waits in a call the next request may run.
//
// # Small targets
//
// The package imports jsonrpc, jsonrpc/mjson, framing and internal/topic only, and
// with them neither net nor os, reflect, fmt or encoding/json.
package host
