// Package testbed has the outside counterparts that tests talk to: pseudo
// terminals that stand in for serial lines, a real MQTT broker, and the rule for
// tests that need something the machine may not have.
//
// [PTY] gives one end as a file and the other as a device path, for tests that
// play the peer themselves. [PTYPair] gives two device paths joined like a
// crossed cable, for tests in which two programs open a serial port each.
// Everything is taken down by the test's cleanup, goroutines included.
//
// [Mosquitto] runs a mosquitto broker on a free port of 127.0.0.1, with TLS,
// passwords, an ACL and persistence if wanted; it can be stopped, killed and
// started again. [NewCA] makes the certificates. [STM32Flash] runs the program
// stm32flash.
//
// # Tests that need something from outside
//
// [Require] skips the test when something is missing and says what. A skipped
// test proves nothing, so the machine that decides sets CI_REQUIRE to the names
// it guarantees, separated by commas: there a missing one fails the test.
//
//	CI_REQUIRE=pty,mosquitto,stm32flash go test ./...
//
// The name "pty" stands for the ability to make pseudo terminals (Linux only
// here); every other name is a program on the search path.
package testbed
