package ccmtest_test

import (
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// TestReopenWhileClosing opens a side again in the moment in which it is closed:
// the new port works.
func TestReopenWhileClosing(t *testing.T) {
	u := ccmtest.NewUART(ccmtest.Line{})
	host := u.Host()
	for range 2000 {
		old := u.Module()
		go old.Close()
		port := u.Module()
		for port == old {
			port = u.Module()
		}
		if _, err := host.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		port.SetReadDeadline(time.Now().Add(time.Second))
		var buf [1]byte
		if _, err := port.Read(buf[:]); err != nil || buf[0] != 'x' {
			t.Fatalf("read %q, %v", buf, err)
		}
	}
}
