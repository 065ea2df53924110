package host_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

func TestSysInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(&host.Config{Info: host.Info{FWVersion: "1.2", App: "a"}, MaxFrame: 512})
		m, end := attach(t, h, nil)
		info, err := m.Call(t.Context(), nil, "Sys.Info", "")
		boot := mjson.GetInt(info, "$.boot", 0)
		want := `{"fw_version":"1.2","arch":"unknown","fw_id":"","app":"a","rx_max":512,"boot":`
		if err != nil || !strings.HasPrefix(string(info), want) || boot == 0 {
			t.Errorf("got %s, %v", info, err)
		}
		list, err := m.Call(t.Context(), nil, "RPC.List", "")
		if want := `["MQTT.Message","Sys.Init","RPC.List","RPC.Ping","Sys.Info"]`; err != nil || string(list) != want {
			t.Errorf("got %s, %v", list, err)
		}
		end()
	})
}

func TestSendsCRCFromTheFirstFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, plain := range []bool{false, true} {
			h := host.New(&host.Config{PlainFrames: plain})
			a, b := wire.Pair(nil)
			ended := make(chan error)
			go func() { ended <- h.Run(t.Context(), a) }()
			synctest.Wait()
			buf := make([]byte, 100)
			n, _ := b.Read(buf)
			want := "\n" + string(framing.AppendCRC([]byte(`{"method":"Sys.Init"}`), []byte(`{"method":"Sys.Init"}`))) + "\n"
			if plain {
				want = "\n" + `{"method":"Sys.Init"}` + "\n"
			}
			if string(buf[:n]) != want {
				t.Errorf("got %q, want %q", buf[:n], want)
			}
			b.Close()
			<-ended
		}
	})
}

// A call whose answer was lost is sent again; the module runs it once.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(&host.Config{NoInit: true})
		if got, err := h.Call(t.Context(), nil, "X", ""); !errors.Is(err, host.ErrNotAttached) {
			t.Errorf("before Run: %s, %v", got, err)
		}
		a, b := wire.Pair(nil)
		ended := make(chan error)
		go func() { ended <- h.Run(t.Context(), a) }()
		go func() {
			in := framing.NewConn(b, nil)
			for range 3 {
				f, _ := in.ReadFrame()
				if id := mjson.Find(f, "$.id").Raw; time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) >= 2*time.Second {
					in.WriteFrame(jsonrpc.AppendResult(nil, id, []byte("1")))
				}
			}
		}()
		synctest.Wait()
		if got, err := h.Call(t.Context(), nil, "X", ""); err != nil || string(got) != "1" {
			t.Errorf("got %s, %v", got, err)
		}
		if s := h.Stats(); s.Retried != 2 {
			t.Errorf("sent again %d times, want 2", s.Retried)
		}
		b.Close()
		<-ended
	})
}
