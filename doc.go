// Package ccmkit is the map of a Cloud Communication Module as a Go library.
//
// A Cloud Communication Module (CCM) sits between a host, which is a
// microcontroller with a UART, and the cloud. The host speaks JSON-RPC 2.0 to
// it, one object a line; hosts built on Cesanta's C library mjson and the tool
// mos work unmodified. This package has no code of its own: import what you
// need.
//
// # Packages
//
// From the bottom up; each knows only those above it in this list.
//
//	jsonrpc/mjson   JSON text: scan, find, print, merge, as mjson does
//	framing         lines, CRC suffixes, pacing; the framings of mos and BLE
//	framing/uart    serial ports
//	jsonrpc         messages, handlers, the Engine without goroutines, the Conn
//	jsonrpc/typed   ordinary Go functions as handlers
//	ccm/host        the host's side: what a microcontroller's program needs
//
// # A short program
//
// A host that can add, and a caller, joined by a pipe. With a serial port in its
// place (framing/uart), the host serves an original CCM as well:
//
//	near, far := net.Pipe()
//
//	h := host.New(nil)
//	h.Handle("Sum", typed.Func(func(a, b float64) float64 { return a + b }))
//	go h.Run(ctx, far)
//
//	c := jsonrpc.NewConn(framing.NewConn(near, nil), nil)
//	go c.Run(ctx)
//	sum, err := c.Call(ctx, nil, "Sum", "[%d,%d]", 2, 3)
//	fmt.Printf("%s %v\n", sum, err) // 5 <nil>
//
// # Conventions
//
// Ports are io.ReadWriteClosers with SetReadDeadline. Functions named Append
// extend a slice of the caller and allocate only when it is too small. Slices
// given to a function or handler are borrowed until it returns. Config structs
// work as zero values. Whatever takes a ctx and is called Run owns its
// goroutines and returns after them. Every buffer and queue has a bound, stated
// where it is.
package ccmkit
