package ccm_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
)

// longest returns the longest line that the module has sent, without line end.
func longest(u *ccmtest.UART) (n int) {
	for line := range strings.SplitSeq(string(u.Bytes(ccmtest.Module)), "\n") {
		n = max(n, len(line))
	}
	return n
}

// wideState is an object of about size bytes, with nested members.
func wideState(size int) string {
	var b strings.Builder
	b.WriteString(`{"group":{"list":[1,2,3]`)
	for i := 0; b.Len() < size-120; i++ {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&b, `,"n%d":%d.5`, i, i)
		case 1:
			fmt.Fprintf(&b, `,"sub%d":{"deep":{"er":{"text":"%s"}},"on":true}`, i, strings.Repeat("x", i%50))
		case 2:
			fmt.Fprintf(&b, `,"é%d":[%d,{"a":%d}]`, i, i, i)
		case 3:
			fmt.Fprintf(&b, `,"s%d":"%s\n"`, i, strings.Repeat("Grüße", i%20))
		}
	}
	return b.String() + `},"last":1}`
}

// TestScenario11 sends hosts that take 255 bytes a delta of nearly 8 KiB, which is
// all that AWS takes: it arrives complete, in frames that fit.
func TestScenario11(t *testing.T) {
	for _, g := range ccmtest.Generations() {
		for _, crc := range []framing.CRCMode{framing.CRCAuto, framing.CRCSend} {
			t.Run(fmt.Sprint(g, " ", crc), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCloud(t)
					s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: g, Report: ccmtest.ReportNone, Buffer: 256})
					h := s.config("")
					h.CRC = crc
					r := up(t, ccm.Config{ID: "lamp", Hosts: []ccm.HostConfig{h}, Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}}, s)
					time.Sleep(time.Second)
					desired := wideState(8000)
					set(t, c, "lamp", desired)
					time.Sleep(30 * time.Second)
					if got := s.mcu.State(); !shadow.Equal([]byte(got), []byte(desired)) {
						t.Errorf("the host has %.100s... of %d bytes, want %d", got, len(got), len(desired))
					}
					n, parts := longest(s.uart), len(deltas(s.mcu))
					if n > 255 || n < 240 || parts < 8000/255 {
						t.Errorf("%d frames, the longest of %d bytes", parts, n)
					}
					if st := r.module.Stats(); st.Oversize != 0 || st.Deltas != uint64(parts) {
						t.Errorf("%+v", st)
					}
					if st := s.mcu.Stats(); st.Wraps != 0 || st.Complaints != 0 {
						t.Errorf("%+v", st)
					}
				})
			})
		}
	}
}

// TestScenario11Slow: at 9600 baud such a delta takes more than ten seconds.
func TestScenario11Slow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		h := newHand(t, ccmtest.Line{Baud: 9600}) // it reports nothing, so that nothing is sent again
		r := up(t, ccm.Config{ID: "lamp", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
		time.Sleep(10 * time.Second)
		h.got()
		desired := `{"last":1`
		for i := 0; len(desired) < 7800; i++ {
			desired += fmt.Sprintf(`,"k%d":"%s"`, i, strings.Repeat("x", 110))
		}
		set(t, c, "lamp", desired+"}")
		time.Sleep(time.Minute)
		all := `{}`
		for _, line := range h.got() {
			all = string(mjson.Merge(nil, []byte(all), mjson.Find([]byte(line), "$.params").Raw))
		}
		if !shadow.Equal([]byte(all), []byte(desired+"}")) {
			t.Errorf("the host has %d bytes of %d", len(all), len(desired)+1)
		}
		if st := r.module.Stats().Hosts[""].Shadow; st.Delivered != 1 || st.Undelivered != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestScenario11Misfit: a value that fits in no frame is logged and counted, and
// everything else arrives. Nothing is cut.
func TestScenario11Misfit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		log := new(logbook)
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Mirror: true, Report: ccmtest.ReportNone})
		r := up(t, ccm.Config{
			ID: "lamp", Hosts: []ccm.HostConfig{s.config("")}, Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}, Logger: log.logger(),
		}, s)
		time.Sleep(time.Second)
		set(t, c, "lamp", `{"a":1,"map":{"b":2,"long":"`+strings.Repeat("0123456789", 30)+`"},"list":[`+strings.Repeat("1,", 200)+`1],"z":{"y":3}}`)
		time.Sleep(time.Second)
		if got := s.mcu.State(); !shadow.Equal([]byte(got), []byte(`{"a":1,"map":{"b":2},"z":{"y":3}}`)) {
			t.Errorf("the host has %s", got)
		}
		log.want(t, "level=WARN", "delta not delivered", "{Path:/map/long Size:302}", "{Path:/list Size:403}")
		if st := r.module.Stats(); st.Oversize < 2 || longest(s.uart) > 255 {
			t.Errorf("%+v; longest line %d", st, longest(s.uart))
		}
		if n := log.count("delta not delivered"); n != 1 {
			t.Errorf("logged %d times in a second", n)
		}
		set(t, c, "lamp", `{"a":2}`)
		time.Sleep(time.Second)
		if got := s.mcu.State(); !strings.Contains(got, `"a":2`) {
			t.Errorf("the host has %s", got)
		}
	})
}

// TestScenario11Told: a host that tells what it takes gets longer frames.
func TestScenario11Told(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: ccmtest.GenModern, Report: ccmtest.ReportNone})
		r := lamp(t, c, s)
		if n := r.module.Host("").Status().FrameLimit; n != 4096-8 {
			t.Errorf("limit %d", n)
		}
		desired := wideState(8000)
		set(t, c, "lamp", desired)
		time.Sleep(30 * time.Second)
		if n, got := len(deltas(s.mcu)), s.mcu.State(); n > 4 || !shadow.Equal([]byte(got), []byte(desired)) {
			t.Errorf("%d deltas; the host has %.100s... of %d bytes, want %d", n, got, len(got), len(desired))
		}
	})
}

// TestScenario15 loses the cloud for a day: what a host publishes with QoS 1
// meanwhile waits in a bounded queue, whose policy the host sees, and arrives in
// order when the cloud is back. The queue is in memory.
func TestScenario15(t *testing.T) {
	const minutes = 24 * 60
	for _, tt := range []struct {
		name     string
		queue    ccm.QueueConfig
		accepted func(i int) bool
		arrives  func(i int) bool
	}{
		{"refuse", ccm.QueueConfig{}, func(i int) bool { return i < 1000 }, func(i int) bool { return i < 1000 }},
		{"drop oldest", ccm.QueueConfig{DropOldest: true}, func(int) bool { return true }, func(i int) bool { return i >= minutes-1000 }},
		{"bytes", ccm.QueueConfig{MaxBytes: 1000}, func(i int) bool { return i < 100 }, func(i int) bool { return i < 100 }},
		{"large", ccm.QueueConfig{MaxMessages: 5000}, func(int) bool { return true }, func(int) bool { return true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, h, b := handAndBroker(t, ccm.Config{Queue: tt.queue})
				b.Stop()
				r.offline()
				want, full := []string(nil), uint64(0)
				for i := range minutes {
					answer := fmt.Sprintf(`{"id":%d,"result":{"queued":true}}`, i)
					if !tt.accepted(i) {
						answer = fmt.Sprintf(`{"id":%d,"error":{"code":429,"message":"busy"}}`, i)
						full++
					}
					text := fmt.Sprintf("%08d", i)
					h.asks(pub(fmt.Sprint(i), fmt.Sprint("t", i%3), text, 1), answer)
					if tt.arrives(i) {
						want = append(want, text)
					}
					time.Sleep(time.Minute)
				}
				st := r.module.Stats()
				if o := st.Outbox; o.Len != len(want) || o.Full != full || o.Accepted != minutes-full || o.Accepted != o.Dropped+uint64(o.Len) {
					t.Errorf("%+v", o)
				}
				if n := st.Cloud.Attempts; n < 1000 || n > 6000 {
					t.Errorf("%d attempts to connect in a day", n)
				}
				b.Start()
				r.online()
				time.Sleep(time.Minute)
				if got := payloads(b.Messages("#")); got != strings.Join(want, " ") {
					t.Errorf("the broker got %d messages, want %d", len(b.Messages("#")), len(want))
				}
				if o := r.module.Stats().Outbox; o.Len != 0 || o.Bytes != 0 || o.Sent != uint64(len(want)) {
					t.Errorf("%+v", o)
				}
				h.want("since then")
				h.asks(pub("1", "t", "x", 1), null(1))
			})
		})
	}
}
