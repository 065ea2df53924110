package uart_test

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"syscall"
	"testing"

	"github.com/ccmkit/ccmkit/framing/uart"
	"go.bug.st/serial"
)

func TestModeString(t *testing.T) {
	tests := []struct {
		mode uart.Mode
		want string
	}{
		{uart.Mode{}, "115200 8N1"},
		{uart.Mode8N1(9600), "9600 8N1"},
		{uart.Mode8E1(57600), "57600 8E1"},
		{uart.Mode{Baud: 300, DataBits: 7, Parity: uart.ParityOdd, StopBits: uart.StopBits2}, "300 7O2"},
		{uart.Mode{Parity: uart.ParityMark, StopBits: uart.StopBits1_5}, "115200 8M1.5"},
		{uart.Mode{Parity: uart.ParitySpace, StopBits: 7}, "115200 8S?"},
		{uart.Mode{Parity: 99}, "115200 8?1"},
	}
	for _, test := range tests {
		if got := test.mode.String(); got != test.want {
			t.Errorf("%#v: got %q, want %q", test.mode, got, test.want)
		}
	}
}

// Every field reaches the library as it is meant: there a zero baud rate is
// 9600, and stop bits are numbered differently.
func TestSetModePassesEveryField(t *testing.T) {
	tests := []struct {
		mode uart.Mode
		want serial.Mode
	}{
		{uart.Mode{}, serial.Mode{BaudRate: 115200, DataBits: 8}},
		{uart.Mode8N1(9600), serial.Mode{BaudRate: 9600, DataBits: 8}},
		{uart.Mode8E1(57600), serial.Mode{BaudRate: 57600, DataBits: 8, Parity: serial.EvenParity}},
		{uart.Mode{Baud: 74880, DataBits: 7, Parity: uart.ParityOdd, StopBits: 2},
			serial.Mode{BaudRate: 74880, DataBits: 7, Parity: serial.OddParity, StopBits: serial.TwoStopBits}},
		{uart.Mode{DataBits: 5, Parity: uart.ParityMark, StopBits: 1}, serial.Mode{BaudRate: 115200, DataBits: 5, Parity: serial.MarkParity}},
		{uart.Mode{Parity: uart.ParitySpace}, serial.Mode{BaudRate: 115200, DataBits: 8, Parity: serial.SpaceParity}},
	}
	for _, test := range tests {
		p, dev := newFake(t)
		if err := p.SetMode(test.mode); err != nil {
			t.Errorf("%v: %v", test.mode, err)
			continue
		}
		if got := dev.modes[0]; got != test.want {
			t.Errorf("%v: library got %+v, want %+v", test.mode, got, test.want)
		}
		wantCalls(t, dev, "Drain", "SetMode", "ResetInput")
		if got := p.Mode().String(); got != test.mode.String() {
			t.Errorf("Mode() is %q, want %q", got, test.mode)
		}
	}
}

func TestModeRefused(t *testing.T) {
	tests := []struct {
		mode uart.Mode
		want string
	}{
		{uart.Mode{Baud: -1}, "baud rate -1"},
		{uart.Mode{Baud: math.MinInt}, "baud rate"},
		{uart.Mode{DataBits: 4}, "4 data bits"},
		{uart.Mode{DataBits: 9}, "9 data bits"},
		{uart.Mode{DataBits: -8}, "-8 data bits"},
		{uart.Mode{Parity: 5}, "parity 5"},
		{uart.Mode{StopBits: uart.StopBits1_5}, "1.5 stop bits"},
		{uart.Mode{StopBits: 3}, "3 stop bits"},
	}
	for _, test := range tests {
		p, dev := newFake(t)
		err := p.SetMode(test.mode)
		if !errors.Is(err, uart.ErrMode) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("SetMode(%#v): %v, want ErrMode with %q", test.mode, err, test.want)
		}
		wantCalls(t, dev)
		if _, err := uart.Open("no-such-port", &uart.Config{Mode: test.mode}); !errors.Is(err, uart.ErrMode) {
			t.Errorf("Open(%#v): %v, want ErrMode", test.mode, err)
		}
	}
}

func TestSetModeStopsAtFirstError(t *testing.T) {
	order := []string{"Drain", "SetMode", "ResetInput"}
	for i, failing := range order {
		p, dev := newFake(t)
		dev.do = func(call string) error {
			if call == failing {
				return syscall.EIO
			}
			return nil
		}
		err := p.SetMode(uart.Mode8E1(9600))
		if !errors.Is(err, uart.ErrUnplugged) || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: %v, want ErrUnplugged and EIO", failing, err)
		}
		wantCalls(t, dev, order[:i+1]...)
		if set := p.Mode().Parity == uart.ParityEven; set != (failing == "ResetInput") {
			t.Errorf("%s fails: Mode() is %v", failing, p.Mode())
		}
	}
}

func TestSetModeRefusedByDevice(t *testing.T) {
	p, dev := newFake(t)
	dev.do = func(call string) error {
		if call == "SetMode" {
			return syscall.EINVAL
		}
		return nil
	}
	if err := p.SetMode(uart.Mode{Baud: 123456}); !errors.Is(err, uart.ErrMode) {
		t.Errorf("got %v, want ErrMode", err)
	}
}

func TestPins(t *testing.T) {
	p, dev := newFake(t)
	for _, step := range []func() error{
		func() error { return p.DTR().Set(true) },
		func() error { return p.RTS().Set(true) },
		func() error { return p.DTR().Set(false) },
		func() error { return p.SetRTS(false) },
		func() error { return p.SetDTR(true) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	wantCalls(t, dev, "DTR true", "RTS true", "DTR false", "RTS false", "DTR true")
	if got := p.DTR().String() + ", " + p.RTS().String(); got != "fake0 DTR, fake0 RTS" {
		t.Errorf("names %q", got)
	}
}

func TestPinsNotSupported(t *testing.T) {
	p, dev := newFake(t)
	dev.do = func(string) error { return syscall.ENOTTY }
	for _, pin := range []uart.Pin{p.DTR(), p.RTS()} {
		err := pin.Set(true)
		if !errors.Is(err, uart.ErrNotSupported) || !errors.Is(err, syscall.ENOTTY) {
			t.Errorf("%v: %v, want ErrNotSupported and ENOTTY", pin, err)
		}
		if pe, ok := errors.AsType[*fs.PathError](err); !ok || pe.Path != "fake0" {
			t.Errorf("%v does not name the port", err)
		}
	}
	if err := (uart.Pin{}).Set(true); !errors.Is(err, uart.ErrNotSupported) {
		t.Errorf("zero pin: %v", err)
	}
}

func TestInitialLevels(t *testing.T) {
	tests := []struct {
		name     string
		dtr, rts *bool
		lines    bool
		want     *serial.ModemOutputBits
	}{
		{"left alone", nil, nil, true, nil},
		{"no such lines", new(false), new(false), false, nil},
		{"DTR low", new(false), nil, true, &serial.ModemOutputBits{DTR: false, RTS: true}},
		{"RTS low", nil, new(false), true, &serial.ModemOutputBits{DTR: true, RTS: false}},
		{"both", new(true), new(false), true, &serial.ModemOutputBits{DTR: true, RTS: false}},
	}
	for _, test := range tests {
		got := uart.Initial(&uart.Config{InitialDTR: test.dtr, InitialRTS: test.rts}, test.lines)
		if (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	tests := []struct {
		op   string
		code serial.PortErrorCode
		want error
	}{
		{"open", serial.PortBusy, uart.ErrBusy},
		{"open", serial.PortNotFound, fs.ErrNotExist},
		{"open", serial.PermissionDenied, fs.ErrPermission},
		{"open", serial.InvalidSerialPort, uart.ErrNotSerial},
		{"set mode", serial.InvalidSerialPort, uart.ErrUnplugged},
		{"set mode", serial.InvalidSpeed, uart.ErrMode},
		{"set mode", serial.InvalidDataBits, uart.ErrMode},
		{"set mode", serial.InvalidParity, uart.ErrMode},
		{"set mode", serial.InvalidStopBits, uart.ErrMode},
		{"read", serial.PortClosed, uart.ErrUnplugged},
		{"read", serial.FunctionNotImplemented, uart.ErrNotSupported},
		{"read", serial.InvalidTimeoutValue, nil},
	}
	for _, test := range tests {
		if got := uart.KindOfCode(test.op, test.code); got != test.want {
			t.Errorf("%s, code %d: got %v, want %v", test.op, test.code, got, test.want)
		}
	}
}
