package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

func TestEndpoint(t *testing.T) {
	for text, want := range map[string]string{
		"/dev/ttyUSB0":                  "/dev/ttyUSB0",
		"serial:/dev/ttyUSB0":           "/dev/ttyUSB0",
		"serial:/dev/ttyUSB0?baud=9600": "serial:/dev/ttyUSB0?baud=9600",
		"/dev/ttyUSB0?baud=9600":        "serial:/dev/ttyUSB0?baud=9600",
		"serial:COM3?baud=115200":       "COM3",
		"COM3":                          "COM3",
		"tcp:127.0.0.1:4000":            "tcp:127.0.0.1:4000",
		"tcp://[::1]:4000":              "tcp:[::1]:4000",
		"unix:/tmp/a:b?c":               "unix:/tmp/a:b?c",
		"":                              "error",
		"serial:":                       "error",
		"serial:/dev/x?speed=1":         "error",
		"serial:/dev/x?baud=":           "error",
		"serial:/dev/x?baud=-1":         "error",
		"serial:/dev/x?baud=%zz":        "error",
		"tcp:":                          "error",
		"tcp:host":                      "error",
		"tcp::1":                        "error",
		"tcp:host:0":                    "error",
		"tcp:host:http":                 "error",
		"unix:":                         "error",
		"ws://host/rpc":                 "error",
		"mqtt://host/dev":               "error",
	} {
		e, err := parseEndpoint(text)
		got := e.String()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
		if again, err := parseEndpoint(got); got != "error" && (err != nil || again != e) {
			t.Errorf("%q: %+v is not %+v, %v", got, again, e, err)
		}
	}
}

func TestSplitName(t *testing.T) {
	for text, want := range map[string][2]string{
		"/dev/ttyUSB0":            {"", "/dev/ttyUSB0"},
		"a=/dev/ttyUSB0":          {"a", "/dev/ttyUSB0"},
		"serial:/dev/x?baud=9600": {"", "serial:/dev/x?baud=9600"},
		"x.y-1=serial:/d?baud=1":  {"x.y-1", "serial:/d?baud=1"},
		"COM3":                    {"", "COM3"},
		"unix:a=b":                {"", "unix:a=b"},
		"=tcp:h:1":                {"", "tcp:h:1"},
	} {
		if name, rest := splitName(text); name != want[0] || rest != want[1] {
			t.Errorf("%q: %q and %q", text, name, rest)
		}
	}
}

func TestOpen(t *testing.T) {
	dir, err := os.MkdirTemp("", "x") // the path of a UNIX socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, network := range []string{"tcp", "unix"} {
		address := filepath.Join(dir, "s")
		if network == "tcp" {
			address = "127.0.0.1:0"
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		e, err := parseEndpoint(network + ":" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		port, err := e.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		port.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if port, err := e.open(ctx); err == nil {
			port.Close()
			t.Error("it opens without a ctx")
		}
		l.Close()
	}
}

func TestOpenSerial(t *testing.T) {
	_, path := testbed.PTY(t)
	e, err := parseEndpoint("serial:" + path + "?baud=9600")
	if err != nil {
		t.Fatal(err)
	}
	port, err := e.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	if mode := port.(*uart.Port).Mode(); mode != uart.Mode8N1(9600) && mode.String() != "9600 8N1" {
		t.Errorf("mode %v", mode)
	}
	_, err = e.open(t.Context())
	wants(t, e.openError(err).Error(), "in use", "fuser -v "+path)
}
