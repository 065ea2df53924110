package ccm_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// TestRebootAfterHostReply: the reply to a host is on its line before the reboot,
// even behind other frames.
func TestRebootAfterHostReply(t *testing.T) {
	for _, row := range []struct {
		baud, ahead int
		call        string
	}{
		{115200, 12, `"Sys.Reboot"`},
		{9600, 3, `"Sys.Reboot"`},
		{9600, 3, `"Config.Save","params":{"reboot":true}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHand(t, ccmtest.Line{Baud: row.baud})
			var replied atomic.Bool
			h.answer(func(line string) (string, bool) {
				if strings.Contains(line, `"id":77`) {
					replied.Store(true)
				}
				return "", replied.Load()
			})
			m := newManaged(t, managedConfig{noDoors: true, module: func(c *ccm.Config) { c.Hosts = []ccm.HostConfig{h.config("")} }})
			found(t, m.module.Host(""))
			for range row.ahead {
				go m.module.Host("").Notify(m.ctx, "MQTT.Message", `{"x":%Q}`, strings.Repeat("x", 200))
			}
			synctest.Wait()
			h.send(`{"id":77,"method":` + row.call + "}\n")
			for begin := time.Now(); time.Since(begin) < 10*time.Second && m.reboots.Load() == 0; {
				time.Sleep(time.Millisecond)
			}
			if !replied.Load() || m.reboots.Load() != 1 {
				t.Errorf("%+v: %d reboots, replied: %v", row, m.reboots.Load(), replied.Load())
			}
			time.Sleep(5 * time.Second)
		})
	}
}

// TestRebootMute: a host that takes nothing does not put the reboot off for long.
func TestRebootMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{Baud: 300})
		m := newManaged(t, managedConfig{noDoors: true, module: func(c *ccm.Config) { c.Hosts = []ccm.HostConfig{h.config("")} }})
		found(t, m.module.Host(""))
		go m.module.Host("").Notify(m.ctx, "MQTT.Message", `{"x":%Q}`, strings.Repeat("x", 200))
		synctest.Wait()
		begin := time.Now()
		h.send(`{"method":"Sys.Reboot"}` + "\n")
		for time.Since(begin) < time.Minute && m.reboots.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("rebooted after %v", d)
		}
		time.Sleep(time.Minute)
	})
}

// TestRebootAtEnd: reboots that are asked for while Run ends harm nobody.
func TestRebootAtEnd(t *testing.T) {
	for range 100 {
		m, err := ccm.New(ccm.Config{Management: ccm.Management{Reboot: func() {}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { m.Run(ctx) })
		stop := make(chan struct{})
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				c := m.Service().Accept(&access.Origin{Role: access.Vendor}, fmt.Appendf(nil, `{"id":%d,"method":"Sys.Reboot"}`, i))
				c.Serve(t.Context(), func([]byte) error { return nil })
			}
		})
		time.Sleep(time.Millisecond)
		cancel()
		time.Sleep(time.Millisecond)
		close(stop)
		wg.Wait()
	}
}
