package ccm_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// TestScenario21: boot text and logs share the UART with the frames. No frame is
// lost because of them, in either direction, and they come out as Junk.
func TestScenario21(t *testing.T) {
	for _, g := range append(ccmtest.Generations(), ccmtest.GenModern) {
		t.Run(g.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const boot = "ets Jan  8 2013,rst cause:1, boot mode:(3,6)\r\n\r\nload 0x40100000, len 1856 {\nchksum \xfe\xff\x00ok\n"
				b := newBroker(t, ccmtest.BrokerOptions{})
				s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{
					Generation: g, Report: ccmtest.ReportNone, BootTime: 50 * time.Millisecond, BootText: boot, Chatter: 7 * time.Millisecond, Seed: 21,
				})
				var mu sync.Mutex
				var junk []string
				cfg := s.config("")
				cfg.Junk = func(line []byte) {
					mu.Lock()
					defer mu.Unlock()
					junk = append(junk, string(line))
				}
				r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{cfg}, Cloud: via(b)}, s)
				s.mcu.HandleFunc("MQTT.Message", nothing)
				if _, err := s.mcu.Call(t.Context(), "MQTT.Sub", `{"topic":"down"}`); err != nil {
					t.Error(err)
				}
				const n = 200
				for i := range n {
					answers(t, r.module.Host(""))
					s.mcu.Notify(t.Context(), "MQTT.Pub", `{"topic":"up","message":"%d","qos":1}`, i)
					publish(t, b, "down", fmt.Sprint(i))
				}
				time.Sleep(time.Second)
				if got := b.Messages("up"); len(got) != n {
					t.Errorf("%d of %d messages came to the broker", len(got), n)
				}
				down := 0
				for _, c := range s.mcu.Calls() {
					if c.Method == "MQTT.Message" && c.Params == fmt.Sprintf(`{"topic":"down","message":"%d"}`, down) {
						down++
					}
				}
				if down != n && g != ccmtest.GenModern { // whose library takes the messages
					t.Errorf("%d of %d messages came to the host", down, n)
				}
				port := r.module.Host("").Stats().Port
				if port.RPC.Malformed+port.RPC.Complaints+port.Line.CRCErrors+port.Line.Dropped != 0 {
					t.Errorf("%+v", port)
				}
				if c := s.mcu.Stats().Complaints; c != 0 {
					t.Errorf("%d answers to junk", c)
				}
				s.mcu.Hang(true)
				time.Sleep(100 * time.Millisecond)
				// What the host has printed, in whole lines.
				text := string(s.uart.Bytes(ccmtest.Host))
				var printed []string
				for line := range strings.SplitSeq(text[:strings.LastIndex(text, "\n")], "\n") {
					if line = strings.TrimSuffix(line, "\r"); line != "" && line[0] != '{' {
						printed = append(printed, line)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if got, want := strings.Join(junk, "\n"), strings.Join(printed, "\n"); got != want || len(junk) < 50 || !strings.HasPrefix(got, "ets Jan  8 2013") {
					t.Errorf("junk of %d lines, want %d", len(junk), len(printed))
				}
				if n := r.module.Host("").Stats().Port.Line.Junk; n != uint64(len(junk)) {
					t.Errorf("%d lines of junk counted, want %d", n, len(junk))
				}
			})
		})
	}
}
