package ccm_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// TestTransport: a module without hosts carries the shadow service for a broker
// that has none, over an outage too; before it is there, the others say so, less
// and less.
func TestTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		s := newStation(ccmtest.Line{}, ccmtest.MCUOptions{})
		var log logbook
		device := start(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{s.config("")}, Cloud: via(b),
			Shadow: ccm.ShadowConfig{Backend: ccm.AWS}, Logger: log.logger()}, s)
		defer device.stop()
		time.Sleep(time.Hour)
		log.want(t, "level=WARN", "is there a shadow service at this broker?")
		if n := log.count("level=WARN"); n > 15 {
			t.Errorf("said %d times in an hour", n)
		}

		keeper := start(t, ccm.Config{ID: "keeper", Cloud: via(b)})
		defer keeper.stop()
		shadows, err := service.New(service.Config{Transport: keeper.module.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		keeper.work.Go(func() { shadows.Run(keeper.ctx) })
		const found = 3 * time.Minute // a request that is not answered for 10 s, and then a rest of a minute at most
		time.Sleep(found)
		for range 2 {
			want := !s.mcu.On()
			if _, err := shadows.Update(t.Context(), "dev", "", fmt.Appendf(nil, `{"state":{"desired":{"on":%v}}}`, want)); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			if s.mcu.On() != want {
				t.Errorf("the host was not switched: %v", !want)
			}
			b.Kick("keeper")
			time.Sleep(found)
		}
	})
}

// TestTransportWithoutCloud says what is missing.
func TestTransportWithoutCloud(t *testing.T) {
	m, err := ccm.New(ccm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tr := m.Transport()
	if err := tr.Publish(t.Context(), "a", 1, nil); !errors.Is(err, ccm.ErrNoCloud) {
		t.Errorf("Publish: %v", err)
	}
	if err := tr.Subscribe(t.Context(), []string{"a"}, 1, nil); !errors.Is(err, ccm.ErrNoCloud) {
		t.Errorf("Subscribe: %v", err)
	}
}
