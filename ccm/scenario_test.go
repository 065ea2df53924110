package ccm_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// TestScenario1 connects stock hosts of every generation.
func TestScenario1(t *testing.T) {
	for _, g := range ccmtest.Generations() {
		t.Run(g.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: g})
				r := start(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
				defer r.stop()
				h := r.module.Host("")
				begin := time.Now()
				if err := h.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				t.Logf("found after %v: %+v %s", time.Since(begin), h.Info(), infoOf(h))
				out, err := h.Call(t.Context(), nil, "Sum", "[%d,%d]", 2, 3)
				if string(out) != "5" || err != nil {
					t.Errorf("Sum: %s, %v", out, err)
				}
				_, err = h.Call(t.Context(), nil, "This_Function_Does_Not_Exist", "%B", true)
				if !errors.Is(err, jsonrpc.ErrMethodNotFound) {
					t.Errorf("unknown method: %v", err)
				}
			})
		})
	}
}

func infoOf(h *ccm.Host) string { i := h.Info(); return i.Generation() }
