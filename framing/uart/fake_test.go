package uart_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/leakcheck"
	"go.bug.st/serial"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// fakeDevice stands in for the library's port. It records the calls and can be
// told what each of them does; by default they succeed and Read blocks until
// Close.
type fakeDevice struct {
	read  func(b []byte) (int, error)
	write func(b []byte) (int, error)
	do    func(call string) error // all other calls but SetReadTimeout and Close

	mu      sync.Mutex
	calls   []string // all but Read
	reads   int
	modes   []serial.Mode
	timeout time.Duration
	closed  chan struct{}
}

// newFake returns a port over a fake device, closed at the end of the test.
func newFake(t testing.TB) (*uart.Port, *fakeDevice) {
	dev := &fakeDevice{closed: make(chan struct{}), timeout: serial.NoTimeout}
	p := uart.NewPort(dev, true)
	t.Cleanup(func() { _ = p.Close() })
	return p, dev
}

// log records a call and returns what it should return.
func (d *fakeDevice) log(call string) error {
	d.mu.Lock()
	d.calls = append(d.calls, call)
	d.mu.Unlock()
	if d.do != nil {
		return d.do(call)
	}
	return nil
}

// seen returns the calls so far and the number of reads.
func (d *fakeDevice) seen() ([]string, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls), d.reads
}

func (d *fakeDevice) Read(b []byte) (int, error) {
	d.mu.Lock()
	d.reads++
	timeout := d.timeout
	d.mu.Unlock()
	if d.read != nil {
		return d.read(b)
	}
	var expired <-chan time.Time
	if timeout != serial.NoTimeout {
		expired = time.After(timeout)
	}
	select {
	case <-d.closed:
		return 0, &serial.PortError{}
	case <-expired:
		return 0, nil
	}
}

func (d *fakeDevice) Write(b []byte) (int, error) {
	d.mu.Lock()
	d.calls = append(d.calls, fmt.Sprint("Write ", len(b)))
	d.mu.Unlock()
	if d.write != nil {
		return d.write(b)
	}
	return len(b), nil
}

func (d *fakeDevice) SetReadTimeout(timeout time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, "SetReadTimeout")
	d.timeout = timeout
	return nil
}

func (d *fakeDevice) SetMode(m *serial.Mode) error {
	d.mu.Lock()
	d.modes = append(d.modes, *m)
	d.mu.Unlock()
	return d.log("SetMode")
}

func (d *fakeDevice) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, "Close")
	close(d.closed) // panics when closed twice
	return nil
}

func (d *fakeDevice) Drain() error                    { return d.log("Drain") }
func (d *fakeDevice) ResetInputBuffer() error         { return d.log("ResetInput") }
func (d *fakeDevice) ResetOutputBuffer() error        { return d.log("ResetOutput") }
func (d *fakeDevice) SetDTR(level bool) error         { return d.log(fmt.Sprint("DTR ", level)) }
func (d *fakeDevice) SetRTS(level bool) error         { return d.log(fmt.Sprint("RTS ", level)) }
func (d *fakeDevice) Break(pause time.Duration) error { return d.log(fmt.Sprint("Break ", pause)) }

// wantCalls compares the calls a device has seen.
func wantCalls(t *testing.T, dev *fakeDevice, want ...string) {
	t.Helper()
	if got, _ := dev.seen(); !slices.Equal(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
}

// eventually waits up to five seconds for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
