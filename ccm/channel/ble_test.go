package channel_test

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// length is what is written to tx_ctl for a frame.
func length(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// TestBLERPC: frames in pieces, replies in pieces, one at a time.
func TestBLERPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var told []uint32
		b := channel.NewBLERPC(t.Context(), r.Service, "aa:bb:cc:dd:ee:ff", func(l [4]byte) {
			told = append(told, binary.BigEndian.Uint32(l[:]))
		})
		defer b.Close()
		write := func(frame string, piece int) {
			t.Helper()
			if err := b.WriteTxControl(length(len(frame))); err != nil {
				t.Fatal(err)
			}
			for len(frame) > 0 {
				n := min(piece, len(frame))
				if err := b.WriteData([]byte(frame[:n])); err != nil {
					t.Fatal(err)
				}
				frame = frame[n:]
			}
			synctest.Wait()
		}
		read := func(mtu int) (reply string) {
			t.Helper()
			l := b.ReadRxControl()
			announced := int(binary.BigEndian.Uint32(l[:]))
			for { // no further: the next reply may be there at once
				p := b.ReadData(mtu)
				if len(p) > mtu-2 {
					t.Errorf("%d bytes at an MTU of %d", len(p), mtu)
				}
				if reply += string(p); len(p) == 0 || len(reply) >= announced {
					break
				}
			}
			if announced != len(reply) {
				t.Errorf("announced %v, came %d", l, len(reply))
			}
			synctest.Wait()
			return reply
		}
		const ping = `{"id":%,"src":"phone","method":"RPC.Ping"}`
		pong := func(id string) string {
			return `{"id":` + id + `,"src":"ccm_A1B2C3","dst":"phone","result":{"channel_info":"aa:bb:cc:dd:ee:ff"}}`
		}
		write(strings.Replace(ping, "%", "1", 1), 20)
		if len(told) != 1 || int(told[0]) != len(pong("1")) {
			t.Errorf("notified %v", told)
		}
		// Further replies wait their turn.
		write(strings.Replace(ping, "%", "2", 1), 1)
		write(`{"id":3,"method":"Test.Echo"}`, 100)
		if len(told) != 1 {
			t.Errorf("notified %v before the first was read", told)
		}
		if got := read(23); got != pong("1") {
			t.Errorf("got %s", got)
		}
		second, third := read(185), read(517)
		if strings.Contains(second, "403") {
			second, third = third, second
		}
		if want := `{"id":3,"src":"ccm_A1B2C3","error":{"code":403,"message":"unauthorized"}}`; second != pong("2") || third != want || len(told) != 3 {
			t.Errorf("got %s and %s, notified %v", second, third, told)
		}
		if l := b.ReadRxControl(); l != [4]byte{} || len(b.ReadData(100)) != 0 {
			t.Errorf("%v bytes are left", l)
		}
		for _, tt := range []struct {
			name string
			err  error
			want error
		}{
			{"too long", b.WriteTxControl(length(4097)), channel.ATTInsufficientResources},
			{"not announced", b.WriteData([]byte("x")), channel.ATTInvalidOffset},
			{"no length", b.WriteTxControl([]byte{1}), channel.ATTInvalidLength},
			{"longest", b.WriteTxControl(length(4096)), nil},
			{"more than announced", b.WriteData(make([]byte, 4097)), channel.ATTInvalidOffset},
		} {
			if tt.err != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, tt.err, tt.want)
			}
		}
		// Who does not read is not served for ever.
		var err error
		for range 100 {
			frame := `{"id":4,"method":"Test.Echo"}`
			b.WriteTxControl(length(len(frame)))
			if err = b.WriteData([]byte(frame)); err != nil {
				break
			}
			synctest.Wait()
		}
		if err != channel.ATTInsufficientResources {
			t.Errorf("error %v", err)
		}
		b.Close()
		b.Close()
		b.WriteTxControl(length(2))
		if err := b.WriteData([]byte("{}")); err != nil {
			t.Errorf("after Close: %v", err)
		}
		if r.Stats().Handlers != 0 {
			t.Errorf("%+v", r.Stats())
		}
	})
}

// TestBLERPCClose: the central goes while a reply waits and a handler is at work.
func TestBLERPCClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answer = func(w *jsonrpc.Response, q *jsonrpc.Request) bool { return string(q.Params()) == "1" }
		b := channel.NewBLERPC(t.Context(), r.Service, "aa", nil)
		for range 3 {
			frame := `{"id":4,"method":"RPC.Ping"}`
			b.WriteTxControl(length(len(frame)))
			b.WriteData([]byte(frame))
		}
		synctest.Wait()
		if n := r.Stats().Handlers; n != 2 {
			t.Errorf("%d replies wait", n)
		}
		b.Close()
		if s := r.Stats(); s.Handlers != 0 || s.Unsent != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestBLEConfig: key, value, save.
func TestBLEConfig(t *testing.T) { synctest.Test(t, testBLEConfig) }

func testBLEConfig(t *testing.T) {
	r := newRig(t, nil)
	values := map[string]string{"s": `"a\u0041"`, "i": "7", "b": " true ", "o": `{"x":1}`, "bad": `"\ud800`}
	fail := ""
	r.answer = func(w *jsonrpc.Response, q *jsonrpc.Request) bool {
		if string(q.Method()) == fail {
			w.Error(500, "x")
			return true
		}
		if string(q.Method()) == "Config.Get" {
			key, _ := q.Param("key").Text()
			w.Result([]byte(values[key]))
			return true
		}
		return false
	}
	b := channel.NewBLEConfig(r.Service, "aa", func(key, text string) ([]byte, error) {
		if key == "unknown" {
			return nil, errors.New("no such key")
		}
		return []byte(`"` + text + `"`), nil
	})
	ctx := context.Background()
	key := func(parts ...string) {
		t.Helper()
		time.Sleep(time.Minute) // the gate limits who saves, and how often
		b.WriteKey([]byte{0})
		for _, p := range parts {
			if err := b.WriteKey([]byte(p)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for k, want := range map[string]string{"s": "aA", "i": "7", "b": "true"} {
		key(k)
		if got, err := b.ReadValue(ctx); string(got) != want || err != nil {
			t.Errorf("%s: %q %v", k, got, err)
		}
	}
	key("o")
	if _, err := b.ReadValue(ctx); err != channel.ATTNotPermitted {
		t.Errorf("object: %v", err)
	}
	r.seen()
	for _, tt := range []struct{ save, calls string }{
		{"0", `Config.Set {"key":"wifi.sta.ssid","value":"net"}`},
		{"1", `Config.Set {"key":"wifi.sta.ssid","value":"net"}|Config.Save`},
		{"2", `Config.Set {"key":"wifi.sta.ssid","value":"net"}|Config.Save {"reboot":true}`},
	} {
		key("wifi.", "sta.ssid")
		b.WriteValue([]byte("x"))
		b.WriteValue([]byte{0})
		b.WriteValue([]byte("ne"))
		b.WriteValue([]byte("t"))
		if err := b.WriteSave(ctx, []byte(tt.save)); err != nil {
			t.Error(err)
		}
		if got := strings.Join(r.seen(), "|"); got != tt.calls {
			t.Errorf("save %s: %s", tt.save, got)
		}
	}
	// Key and value are gone now.
	if err := b.WriteSave(ctx, []byte("1")); err != nil || strings.Join(r.seen(), "|") != "Config.Save" {
		t.Errorf("save alone: %v", err)
	}
	for _, bad := range []string{"", "3", "/", "12"} {
		if err := b.WriteSave(ctx, []byte(bad)); err != channel.ATTInvalidLength {
			t.Errorf("save %q: %v", bad, err)
		}
	}
	key("unknown")
	if err := b.WriteSave(ctx, []byte("1")); err != channel.ATTUnlikely || len(r.seen()) != 0 {
		t.Errorf("unknown key: %v", err)
	}
	fail = "Config.Set"
	key("k")
	if err := b.WriteSave(ctx, []byte("1")); err != channel.ATTUnlikely || strings.Join(r.seen(), "|") != `Config.Set {"key":"k","value":""}` {
		t.Errorf("failed: %v", err)
	}
	if err := b.WriteKey(make([]byte, 129)); err != channel.ATTInsufficientResources {
		t.Errorf("long key: %v", err)
	}
	if err := b.WriteValue(make([]byte, 4097)); err != channel.ATTInsufficientResources {
		t.Errorf("long value: %v", err)
	}
	r.foreign.Store("Config.Save") // nothing is set if it may not be saved
	r.seen()
	key("wifi.sta.ssid")
	if err := b.WriteSave(ctx, []byte("1")); err != channel.ATTNotPermitted || len(r.seen()) != 0 {
		t.Errorf("save is not allowed: %v", err)
	}
	r.foreign.Store("")
	r.window.Store(false)
	for _, save := range []string{"0", "1", "2"} {
		key("wifi.sta.ssid")
		if err := b.WriteSave(ctx, []byte(save)); err != channel.ATTNotPermitted {
			t.Errorf("window closed, save %s: %v", save, err)
		}
	}
	if _, err := b.ReadValue(ctx); err != channel.ATTNotPermitted {
		t.Errorf("window closed: %v", err)
	}
	if got := r.seen(); len(got) != 0 {
		t.Errorf("window closed: %v", got)
	}
	for _, e := range []channel.ATTError{3, 7, 13, 14, 17} {
		if s := e.Error(); strings.HasSuffix(s, ": ") {
			t.Errorf("%d: %s", e, s)
		}
	}
}
