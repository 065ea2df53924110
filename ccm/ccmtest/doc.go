// Package ccmtest tests programs around a Cloud Communication Module without
// hardware and without a network: a serial line with faults, hosts of every
// generation, an MQTT broker with outages and a shadow service, all in memory and
// all inside one testing/synctest bubble, where a day takes seconds and every run
// is the same.
//
// # A test
//
//	func TestShadow(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			aws, _ := ccmtest.NewCloud(ccmtest.CloudOptions{})
//			defer aws.Close()
//			line := ccmtest.NewUART(ccmtest.Line{Baud: 115200, Seed: 7})
//			mcu := ccmtest.NewMCU(ccmtest.MCUOptions{Generation: ccmtest.Gen2018})
//			go mcu.Run(t.Context(), line.Host())
//			m, _ := ccm.New(ccm.Config{ID: "lamp", Hosts: []ccm.HostConfig{{Open: line.OpenModule}},
//				Cloud: &cloud.Config{Servers: []string{"broker"}, Dial: aws.Dial}, Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
//			go m.Run(t.Context())
//			aws.SetDesired("lamp", `{"on":true}`)
//			time.Sleep(time.Minute) // of virtual time
//			if !mcu.On() {
//				t.Errorf("the lamp is off:\n%s", ccmtest.FormatTrace(line.Trace()))
//			}
//		})
//	}
//
// The parts know nothing of each other and may be used alone, inside a bubble or
// outside. A [UART] needs no Close; [MCU.Run] ends with its ctx; [Broker.Close]
// and [Cloud.Close] return when nothing of theirs runs any more.
//
// # The line
//
// A [UART] has two sides, [UART.Module] and [UART.Host], each a framing.Port with
// the methods and the errors of a uart.Port. On a paced line a byte takes the 10
// or 11 bit times of its format, bytes that a full buffer cannot take are lost,
// and sides whose formats differ read what comes of that. [Faults] hit single
// bytes; they depend only on the seed and on what is written, not on time. Ports
// can be unplugged and opened again, held off, and broken into.
//
// Everything is recorded: [UART.Trace] has the bytes as they came out, with their
// times, and every change of a mode or a pin; [UART.Digest] is a sum over it that
// two runs can compare. For equal traces the tested program must itself be
// deterministic: a jsonrpc.Conn needs a FirstID, and package ccm/host takes random
// ids always.
//
// # Hosts
//
// An [MCU] is a host on the line: it boots, prints, answers, hangs and is reset.
// Its firmware is the C library mjson with the sketch of the CCM manual, or
// package ccm/host. The library differs with its age:
//
//	                               2018      2019      2020      head
//	lists its methods as           RPC.List  RPC.List  rpc.list  rpc.list
//	has Sys.Info                   yes       no        no        no
//	takes lines of                 255       255       255       1023 bytes
//	a truncated request is         refused   refused   executed  executed
//	a reply with error is          refused   refused   taken     taken
//	/ is printed as                \/        /         /         /
//	a \u escape in a string        ends it   ends it   ends it   \u00XX: byte XX
//	a \u escape in a method is     refused   refused   literal   literal
//	names are                      exact     exact     patterns  patterns
//	boot report ends with          LF        LF        LF        nothing
//
// All of them refuse what they do not understand with an error that has no id and
// quotes the line; never forget a line of 256 bytes (head: 1024) and drop it
// silently, and take what is beyond for a line of its own; ignore text after the
// first object of a line, and so a CRC; ignore empty lines; and answer an id of
// any type, null too. The firmware of 2019 was not measured: in the cells about
// truncated requests and errors it is taken to be like that of 2018. A buffer of
// 1024 bytes is that of the sketch on which head was measured.
//
// Gen2018 and GenHead agree byte for byte with recordings of the C library at
// 697a216 and 696969c, also where package jsonrpc does something safer. Handlers
// read their params as Go programs do; [Generation.Text] shows what a C sketch
// would read.
//
// # The broker
//
// A [Broker] is mochi-mqtt in this process, a real broker for real clients. Its
// Dial goes where a net.Dialer goes. It can be stopped and started, swallow
// everything ([Broker.Freeze]), refuse connections and subscriptions, kick clients
// and forget sessions; it can lose, double and delay PUBACKs ([Broker.SetAcks]).
// [Broker.Events] and BrokerOptions.Observer tell what clients do and when.
//
// A [Cloud] is a broker with the shadow service of package shadow/service, which
// has the topics and the rules of AWS IoT.
//
// Unlike other brokers this one makes a publisher wait when a subscriber's queue
// is full, rather than dropping messages; what waits in a session is sent in the
// order of publication; nothing expires.
//
// # Concurrency
//
// All methods are safe for concurrent use. Callbacks say on which goroutine they
// run. None is called with a lock held but that of [Broker.SetAckFunc], which must
// not block.
//
// # Limits
//
//	bytes waiting at a port             64 KiB; Line.ModuleBuffer, Line.HostBuffer
//	events of a line that are kept      65536 a side; Line.Trace
//	lines and calls of an MCU           4096; MCUOptions.Log
//	frames an MCU has still to send     64, then its firmware waits
//	messages waiting for a client       64; BrokerOptions.WritesPending
//	bytes a client leaves unread        1 MiB; BrokerOptions.ClientBuffer
//	messages in a session               60000
//	events of a broker that are kept    4096; BrokerOptions.Log
//
// An idle client of a broker costs some 30 KiB, most of it stacks.
//
// # Sources
//
// cesanta/mjson at d521fd8, 697a216, 1.1.1 and 696969c, as measured for this
// project; MQTT 3.1.1; the CCM manual.
package ccmtest
