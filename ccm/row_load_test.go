package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// TestRow8 writes to an Arduino: 64 bytes of receive buffer, and a main loop that
// takes its time with each byte. With the preset nothing is lost; without it a
// part is.
func TestRow8(t *testing.T) {
	lost := func(t *testing.T, pace framing.Pace) (calls int, bytes uint64) {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(ccmtest.Line{Baud: 115200, HostBuffer: 64}, ccmtest.MCUOptions{
				Report: ccmtest.ReportNone, ByteTime: 150 * time.Microsecond,
			})
			cfg := s.config("")
			cfg.Pace = pace
			r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}}, s)
			h := r.module.Host("")
			for i := range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err := h.Call(ctx, nil, "Sum", "[%d,%d,%Q]", i, i, strings.Repeat("x", 2*i))
				cancel()
				if err != nil {
					calls++
				}
			}
			bytes = s.uart.Module().Stats().Overrun
		})
		return calls, bytes
	}
	if calls, bytes := lost(t, framing.Arduino64()); calls != 0 || bytes != 0 {
		t.Errorf("with the preset %d calls and %d bytes were lost", calls, bytes)
	}
	calls, bytes := lost(t, framing.Pace{})
	if calls == 0 || bytes == 0 {
		t.Error("without it nothing was lost: the test is no test")
	}
	t.Logf("without the preset %d calls of 100 and %d bytes were lost", calls, bytes)
}

// TestRow8Oversize: what a host cannot take is never sent, not even in part; who
// asked for it gets an error, and it is counted and logged. The limit is 255
// bytes with the CRC suffix (rulings A9).
func TestRow8Oversize(t *testing.T) {
	for _, crc := range []framing.CRCMode{framing.CRCOff, framing.CRCSend} {
		synctest.Test(t, func(t *testing.T) {
			log := new(logbook)
			b := newBroker(t, ccmtest.BrokerOptions{})
			s := newStation(ccmtest.Line{}, ccmtest.MCUOptions{Report: ccmtest.ReportNone})
			s.mcu.HandleFunc("MQTT.Message", nothing)
			cfg := s.config("")
			cfg.CRC = crc
			r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{cfg}, Cloud: via(b), Logger: log.logger()}, s)
			h := r.module.Host("")
			limit := 255
			if crc == framing.CRCSend {
				limit -= 8
			}
			if n := h.Status().FrameLimit; n != limit {
				t.Errorf("limit %d, want %d", n, limit)
			}
			if _, err := s.mcu.Call(t.Context(), "MQTT.Sub", `{"topic":"t"}`); err != nil {
				t.Error(err)
			}
			before := len(s.mcu.Received())
			fits := limit - len(message("t", ""))
			for n := fits - 3; n <= fits+3; n++ {
				publish(t, b, "t", strings.Repeat("x", n))
			}
			publish(t, b, "t", strings.Repeat("x", 100_000))
			publish(t, b, "t", strings.Repeat("\x01", 100)) // six bytes each on the line
			publish(t, b, "t", "end")
			time.Sleep(time.Second)
			if got := len(s.mcu.Received()) - before; got != 5 {
				t.Errorf("the host received %d lines", got)
			}
			if n := longest(s.uart); n != 255 {
				t.Errorf("the longest line has %d bytes", n)
			}
			if st := r.module.Stats(); st.Oversize != 5 || st.Delivered != 5 || st.Undelivered != 0 {
				t.Errorf("%+v", st)
			}
			log.want(t, "level=WARN", "message not delivered", "topic=t", "longer than the peer takes")
			if acks := b.Events(ccmtest.BrokerPuback); len(acks) != 10 {
				t.Errorf("%d messages were acknowledged to the broker", len(acks))
			}
			if _, err := h.Call(t.Context(), nil, "Sum", "%Q", strings.Repeat("x", 250)); !errors.Is(err, jsonrpc.ErrTooLong) {
				t.Errorf("Call: %v", err)
			}
			if err := h.Notify(t.Context(), "Note", "%Q", strings.Repeat("x", 250)); !errors.Is(err, jsonrpc.ErrTooLong) {
				t.Errorf("Notify: %v", err)
			}
			// What the host asks for may be too long for it, too.
			r.module.HandleFunc("Test.Long", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
				w.Resultf("%Q", strings.Repeat("x", 300))
			})
			s.mcu.Print(t.Context(), `{"id":77,"method":"Test.Long"}`+"\n")
			time.Sleep(time.Second)
			lines := s.mcu.Received()
			if got := lines[len(lines)-1]; !strings.HasPrefix(got, `{"id":77,"error":{"code":413,`) {
				t.Errorf("a long answer: %s", got)
			}
			answers(t, h)
			if st := s.mcu.Stats(); st.Wraps != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestRow9 floods the module from one host as fast as the line carries. The
// memory that it takes comes to rest, and what is too much is answered 429
// (rulings A9) or dropped and counted.
func TestRow9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{Log: -1})
		h := newHand(t, ccmtest.Line{Baud: 115200, Trace: -1})
		log := new(logbook)
		r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(b), Logger: log.logger(), Queue: ccm.QueueConfig{MaxMessages: 20}})
		counts := map[string]int{}
		h.answer(func(line string) (string, bool) {
			switch {
			case strings.Contains(line, `"code":429`):
				counts["429"]++
			case strings.Contains(line, `"error"`):
				counts["error"]++
			default:
				counts["other"]++
			}
			return "", true
		})
		r.module.HandleFunc("Test.Slow", func(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		})
		b.Stop() // so that what is published piles up
		var block strings.Builder
		id := 0
		round := func() {
			block.Reset()
			for range 20 {
				id++
				fmt.Fprintf(&block, "%s\n", pub(fmt.Sprint(id), "t", strings.Repeat("x", 100), 1))
				fmt.Fprintf(&block, `{"id":%d,"method":"MQTT.Sub","params":{"topic":"filter/%d"}}`+"\n", 1_000_000+id, id)
				fmt.Fprintf(&block, `{"id":%d,"method":"Test.Slow"}`+"\n", 2_000_000+id)
				fmt.Fprintf(&block, `{"method":"Shadow.Report","params":{"k%d":%d}}`+"\n", id, id)
				fmt.Fprintf(&block, `{"id":%d,"method":"No.Such.%s"}`+"\n", 3_000_000+id, strings.Repeat("x", id%200))
				block.WriteString("junk {\n" + strings.Repeat("[", 100) + "\n{\n")
			}
			block.WriteString("{" + strings.Repeat("x", 5000) + "\n") // longer than any frame
			h.send(block.String())
		}
		usage := func() uint64 {
			time.Sleep(time.Minute)
			synctest.Wait()
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return s.HeapAlloc
		}
		begin := time.Now()
		for range heavy(200) {
			round()
		}
		before := usage()
		for range heavy(600) {
			round()
		}
		flooded := time.Since(begin)
		after := usage()
		st := r.module.Stats()
		t.Logf("%v of flood: %d KiB of heap after a quarter, %d KiB at the end; answers %v; %+v", flooded, before>>10, after>>10, counts, st.Hosts[""].Port)
		if after > before+1<<20 {
			t.Errorf("the heap has grown from %d to %d KiB", before>>10, after>>10)
		}
		if st.Outbox.Len != 20 || st.Outbox.Full == 0 || st.Hosts[""].Port.RPC.Busy == 0 || st.Hosts[""].Port.Line.Overlong == 0 || counts["429"] == 0 {
			t.Errorf("%v, %+v", counts, st)
		}
		if n := log.count("level=WARN"); n > int(flooded/time.Second)+100 {
			t.Errorf("%d warnings in %v", n, flooded)
		}
		h.answer(nil)
		h.send("\n")
		time.Sleep(time.Second)
		h.got()
		h.send(`{"id":"after","method":"RPC.Ping"}` + "\n")
		time.Sleep(time.Second)
		h.want("after the flood", `{"id":"after","result":{"channel_info":"UART0"}}`)
		b.Start()
		r.online()
	})
}

// TestRow9Subscriptions: a host has 128 subscriptions at most.
func TestRow9Subscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b := handAndBroker(t, ccm.Config{})
		for i := range ccm.MaxSubscriptions {
			h.asks(sub(i, fmt.Sprint("t/", i)), null(i))
		}
		if got := h.ask(sub(999, "t/more")); !strings.HasPrefix(got, `{"id":999,"error":{"code":429,`) {
			t.Errorf("one too many: %s", got)
		}
		h.asks(sub(1000, "t/5"), null(1000)) // it has that one
		h.asks(`{"id":1001,"method":"MQTT.Unsub","params":{"topic":"t/5"}}`, null(1001))
		h.asks(sub(1002, "t/more"), null(1002))
		publish(t, b, "t/more", "x")
		publish(t, b, "t/127", "y")
		publish(t, b, "t/5", "z")
		h.want("messages", message("t/more", "x"), message("t/127", "y"))
		if st := r.module.Stats(); st.Refused != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestRow9SubscriptionsOfAll: all hosts together have as many subscriptions as the
// connection takes.
func TestRow9SubscriptionsOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		h := newHand(t, ccmtest.Line{})
		cfg := ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(b)}
		cfg.Cloud.MaxSubscriptions = 3 // of which the module has one
		up(t, cfg)
		h.asks(sub(1, "a"), null(1))
		h.asks(sub(2, "b"), null(2))
		h.asks(sub(3, "c"), `{"id":3,"error":{"code":429,"message":"too many subscriptions"}}`)
		publish(t, b, "b", "x")
		h.want("messages", message("b", "x"))
	})
}
