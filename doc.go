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
//	shadow          device shadows: diff, merge, and keeping two sides in step
//	shadow/aws      the dialect of AWS IoT Core
//	shadow/service  a shadow service for any broker
//	fwbundle        firmware bundles: read, check, sign and write them
//	stm32boot       an STM32 through the boot loader in its ROM
//	                and stm32boot/stm32sim, an emulated one
//	ccm/host        the host's side: what a microcontroller's program needs
//	ccm/outbox      messages that wait for a broker
//	ccm/cloud       the connection to a broker
//	ccm/config      the configuration of a device, in layers, with locks and secrets
//	ccm/files       its files; ccm/wifi: its wireless network
//	ccm/access      who may call what: roles, rules, logins
//	ccm/channel     the doors: HTTP, websocket, the serial line of mos, TCP, UDP, BLE
//	ccm             the module, which joins all of these
//	ccm/ccmtest     UARTs, hosts and clouds for tests
//
// # A short program
//
// A module that gives a host on a serial port MQTT and a shadow:
//
//	m, err := ccm.New(ccm.Config{
//		ID: "dev-1",
//		Hosts: []ccm.HostConfig{{Open: func(context.Context) (framing.Port, error) {
//			return uart.Open("/dev/ttyUSB0", nil)
//		}}},
//		Cloud:  &cloud.Config{Servers: []string{"mqtts://broker.example.com"}},
//		Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
//	})
//	if err != nil { ... }
//	go m.Run(ctx)
//	sum, err := m.Host("").Call(ctx, nil, "Sum", "[%d,%d]", 2, 3)
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
