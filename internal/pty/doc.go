// Package pty makes pseudo terminals: serial ports without hardware, for the
// programs that offer one and for tests.
package pty
