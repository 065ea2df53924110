package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// patient is what a doctor is told about a line at 115200 baud.
var patient = endpoint{network: "serial", address: "/dev/x", baud: 115200}

// visit has the doctor examine one side of a line, on the other side of which
// peer runs until the doctor has left. It runs in virtual time and returns how
// long it took.
func visit(t *testing.T, l ccmtest.Line, d doctor, peer func(ctx context.Context, u *ccmtest.UART)) (out string, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		u := ccmtest.NewUART(l)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			peer(ctx, u)
		}()
		var text strings.Builder
		d.program = &program{out: &printer{w: &text}, log: &printer{w: &text}}
		if d.at.network == "" {
			d.at = patient
		}
		begun := time.Now()
		err = d.examine(ctx, u.Module())
		out, took = text.String(), time.Since(begun)
		cancel()
		<-ended
	})
	return out, took, err
}

// mcu is a peer.
func mcu(o ccmtest.MCUOptions) func(ctx context.Context, u *ccmtest.UART) {
	return func(ctx context.Context, u *ccmtest.UART) { ccmtest.NewMCU(o).Run(ctx, u.Host()) }
}

// wants checks that a text has these parts.
func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

func TestDoctorGenerations(t *testing.T) {
	for _, c := range []struct {
		gen  ccmtest.Generation
		want []string
	}{
		{ccmtest.Gen2018, []string{"mjson of 2018", "Nov 24 2018", "up to 255 bytes", "none; a suffix does no harm", "Sys.Info"}},
		{ccmtest.Gen2019, []string{"mjson of 2019", "up to 255 bytes", "Sum, RPC.List\n"}},
		{ccmtest.Gen2020, []string{"mjson of May 2020 or later", "up to 255 bytes", "Sum, rpc.list\n"}},
		{ccmtest.GenHead, []string{"mjson of May 2020 or later", "up to 1023 bytes"}},
		{ccmtest.GenModern, []string{"host of this library", "up to 4096 bytes, as it says", "sent always, and checked", "it sends Sys.Init"}},
	} {
		out, _, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{maxFrame: 4096}, mcu(ccmtest.MCUOptions{Generation: c.gen}))
		if err != nil {
			t.Errorf("%v: %v", c.gen, err)
		}
		wants(t, out, append(c.want, "of 20 calls", "endpoint     /dev/x\n")...)
	}
}

// The longest frame is found whatever the host does beyond it, and the host runs
// nothing but what it was asked.
func TestDoctorFrameLimit(t *testing.T) {
	for _, gen := range ccmtest.Generations() {
		for _, size := range []int{50, 64, 65, 100, 128, 200, 255, 256, 257, 300, 512, 1000, 1024, 4096} {
			var calls []ccmtest.Call
			out, _, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{maxFrame: 4096}, func(ctx context.Context, u *ccmtest.UART) {
				m := ccmtest.NewMCU(ccmtest.MCUOptions{Generation: gen, Buffer: size})
				m.Run(ctx, u.Host())
				calls = m.Calls()
			})
			if err != nil {
				t.Errorf("%v, %d: %v", gen, size, err)
			}
			wants(t, out, fmt.Sprintf("frames       up to %d bytes\n", size-1))
			if len(calls) > 0 {
				t.Errorf("%v, %d: the host ran %v", gen, size, calls)
			}
		}
	}
	out, _, _ := visit(t, ccmtest.Line{Baud: 115200}, doctor{maxFrame: 200}, mcu(ccmtest.MCUOptions{}))
	wants(t, out, "200 bytes and maybe more")
	out, _, _ = visit(t, ccmtest.Line{Baud: 115200}, doctor{maxFrame: 0}, mcu(ccmtest.MCUOptions{}))
	if strings.Contains(out, "frames") {
		t.Errorf("no frame was to be tried:\n%s", out)
	}
}

func TestDoctorCRC(t *testing.T) {
	for _, c := range []struct {
		host host.Config
		want string
	}{
		{host.Config{}, "sent always, and checked"},
		{host.Config{PlainFrames: true}, "checked, and sent once the other end does"},
		{host.Config{RequireCRC: true}, "required: frames without"},
	} {
		out, _, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{maxFrame: 4096}, mcu(ccmtest.MCUOptions{Generation: ccmtest.GenModern, Host: c.host}))
		if err != nil {
			t.Error(err)
		}
		wants(t, out, c.want, "up to 4096 bytes")
	}
}

// Nobody answers: what came instead decides what to try.
func TestDoctorAdvice(t *testing.T) {
	say := func(text string) func(ctx context.Context, u *ccmtest.UART) {
		return func(ctx context.Context, u *ccmtest.UART) {
			for ctx.Err() == nil {
				io.WriteString(u.Host(), text)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	echo := func(ctx context.Context, u *ccmtest.UART) {
		stop := context.AfterFunc(ctx, func() { u.Host().Close() })
		defer stop()
		io.Copy(u.Host(), u.Host())
	}
	silence := func(ctx context.Context, _ *ccmtest.UART) { <-ctx.Done() }
	other := func(ctx context.Context, u *ccmtest.UART) {
		u.Host().SetMode(uart.Mode8N1(9600))
		say("{\"method\":\"MQTT.Sub\"}\n")(ctx, u)
	}
	complain := func(ctx context.Context, u *ccmtest.UART) {
		stop := context.AfterFunc(ctx, func() { u.Host().Close() })
		defer stop()
		for lines := bufio.NewScanner(u.Host()); lines.Scan(); {
			io.WriteString(u.Host(), `{"error":{"code":-32700,"message":"what?"}}`+"\n")
		}
	}
	network := endpoint{network: "tcp", address: "h:1"}
	for _, c := range []struct {
		name string
		at   endpoint
		peer func(ctx context.Context, u *ccmtest.UART)
		want []string
	}{
		{"silence", patient, silence, []string{"nothing at all", "powered", "crossed", "doctor --scan /dev/x"}},
		{"silence over TCP", network, silence, []string{"nothing at all", "does the program at the other end"}},
		{"echo", patient, echo, []string{"what was sent", "TX and RX are joined"}},
		{"console", patient, say("login: \r\n"), []string{"bytes of text, such as \"login: \"", "console"}},
		{"one way", patient, say("{\"method\":\"MQTT.Sub\"}\n"), []string{"frames, but no answer", "arrive whole"}},
		{"complaints", patient, complain, []string{"frames, but no answer", "arrive whole"}},
		{"speed", patient, other, []string{"bytes that are no text", "wrong speed looks like"}},
		{"speed over TCP", network, other, []string{"bytes that are no text", "is the speed right"}},
	} {
		out, took, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{at: c.at}, c.peer)
		if !errors.Is(err, errNobody) || took > 5*time.Second || c.name == "complaints" && took > time.Second {
			t.Errorf("%s: %v after %v", c.name, err, took)
		}
		wants(t, out, append(c.want, "answer       none\n")...)
	}
}

// Opening the port may reset the board: it is deaf for a while then.
func TestDoctorBoot(t *testing.T) {
	o := ccmtest.MCUOptions{Generation: ccmtest.Gen2018, BootTime: 1800 * time.Millisecond, BootText: "bootloader\r\n"}
	out, _, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{maxFrame: 4096}, mcu(o))
	if err != nil {
		t.Error(err)
	}
	wants(t, out, "mjson of 2018", `other text   1 lines, such as "bootloader"`)
}

// A bad line does not keep the doctor from finding out.
func TestDoctorNoise(t *testing.T) {
	l := ccmtest.Line{Baud: 115200, Seed: 3, Faults: ccmtest.Uniform(2e-3)}
	out, _, err := visit(t, l, doctor{maxFrame: 255}, mcu(ccmtest.MCUOptions{Generation: ccmtest.GenModern}))
	if err != nil {
		t.Error(err)
	}
	wants(t, out, "host of this library", "got no answer", "came damaged")
}

func TestScan(t *testing.T) {
	for _, baud := range scanRates {
		for _, boot := range []time.Duration{0, 2 * time.Second} {
			peer := func(ctx context.Context, u *ccmtest.UART) {
				u.Host().SetMode(uart.Mode8N1(baud))
				ccmtest.NewMCU(ccmtest.MCUOptions{Generation: ccmtest.Gen2018, BootTime: boot}).Run(ctx, u.Host())
			}
			begun := time.Now()
			out, _, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{scan: true}, peer)
			if err != nil {
				t.Errorf("%d: %v after %v", baud, err, time.Since(begun))
			}
			wants(t, out, fmt.Sprintf("speed        %d baud: ", baud), "mjson of 2018")
			if baud != 115200 {
				wants(t, out, fmt.Sprintf("serial:/dev/x?baud=%d\n", baud))
			}
		}
	}
}

// One answer at a speed is not enough.
func TestScanTwice(t *testing.T) {
	peer := func(ctx context.Context, u *ccmtest.UART) {
		for lines := bufio.NewScanner(u.Host()); lines.Scan(); {
			if id := mjson.Find(lines.Bytes(), "$.id"); id.Exists() {
				fmt.Fprintf(u.Host(), "{\"id\":%s,\"result\":1}\n", id)
				break
			}
		}
		u.Host().SetMode(uart.Mode8N1(57600))
		ccmtest.NewMCU(ccmtest.MCUOptions{}).Run(ctx, u.Host())
	}
	out, _, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{scan: true}, peer)
	if err != nil {
		t.Error(err)
	}
	wants(t, out, "speed        57600 baud: ")
}

// TestScanTime: with or without a host, the speed is known within ten seconds.
func TestScanTime(t *testing.T) {
	out, took, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{scan: true},
		func(ctx context.Context, _ *ccmtest.UART) { <-ctx.Done() })
	if !errors.Is(err, errNobody) || took > 10*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	wants(t, out, "no answer at 115200, 9600", "nothing at all")
	if strings.Contains(out, "--scan") {
		t.Errorf("it advises what was done:\n%s", out)
	}
}

// At the other end may be a module, which takes us for a host.
func TestDoctorModule(t *testing.T) {
	out, _, err := visit(t, ccmtest.Line{Baud: 115200}, doctor{maxFrame: 4096}, func(ctx context.Context, u *ccmtest.UART) {
		m, err := ccm.New(ccm.Config{Hosts: []ccm.HostConfig{{Open: u.OpenHost}}, Info: ccm.Info{App: "gate"}})
		if err == nil {
			err = m.Run(ctx)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
	wants(t, out, "a Cloud Communication Module", "gate, ", "MQTT.Pub", "it sends Sys.Init", "4096 bytes and maybe more")
}

// A long list on a slow line.
func TestDoctorSlow(t *testing.T) {
	out, _, err := visit(t, ccmtest.Line{Baud: 2400}, doctor{at: endpoint{network: "serial", address: "/dev/x", baud: 2400}},
		func(ctx context.Context, u *ccmtest.UART) {
			m := ccmtest.NewMCU(ccmtest.MCUOptions{})
			for i := range 20 {
				m.HandleFunc(fmt.Sprintf("Thermostat.Method%02d", i), func(context.Context, *jsonrpc.Response, *jsonrpc.Request) {})
			}
			m.Run(ctx, u.Host())
		})
	if err != nil {
		t.Error(err)
	}
	wants(t, out, "mjson of 2018", "Thermostat.Method00")
}

// The port goes away, or the user has enough, at any moment.
func TestDoctorEnds(t *testing.T) {
	for after := time.Duration(0); after < 3*time.Second; after += 37 * time.Millisecond {
		_, took, err := visit(t, ccmtest.Line{Baud: 9600}, doctor{maxFrame: 4096}, func(ctx context.Context, u *ccmtest.UART) {
			time.AfterFunc(after, func() { u.Module().Unplug() })
			ccmtest.NewMCU(ccmtest.MCUOptions{}).Run(ctx, u.Host())
		})
		if !errors.Is(err, uart.ErrUnplugged) || took > after+100*time.Millisecond {
			t.Fatalf("unplugged after %v: %v after %v", after, err, took)
		}
		synctest.Test(t, func(t *testing.T) {
			u := ccmtest.NewUART(ccmtest.Line{Baud: 9600})
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			done := make(chan struct{})
			go func() { defer close(done); ccmtest.NewMCU(ccmtest.MCUOptions{}).Run(ctx, u.Host()) }()
			d := doctor{program: &program{out: &printer{w: io.Discard}}, at: patient, maxFrame: 4096, scan: after%2 == 0}
			begun := time.Now()
			if err := d.examine(ctx, u.Module()); err != errInterrupted || time.Since(begun) > after+100*time.Millisecond {
				t.Errorf("interrupted after %v: %v after %v", after, err, time.Since(begun))
			}
			<-done
		})
	}
}
