package ccm_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// TestScenario1 connects stock hosts of every generation.
func TestScenario1(t *testing.T) {
	want := map[ccmtest.Generation]string{
		ccmtest.Gen2018: "mjson 2018", ccmtest.Gen2019: "mjson 2019", ccmtest.Gen2020: "mjson 2020 or later",
		ccmtest.GenHead: "mjson 2020 or later", ccmtest.GenModern: "ccm/host",
	}
	asked := map[ccmtest.Generation]string{ // rulings A8
		ccmtest.Gen2018: " Sys.Init Sys.Info RPC.List", ccmtest.Gen2019: " Sys.Init Sys.Info RPC.List",
		ccmtest.Gen2020: " Sys.Init Sys.Info RPC.List rpc.list", ccmtest.GenHead: " Sys.Init Sys.Info RPC.List rpc.list",
		ccmtest.GenModern: " Sys.Init Sys.Info RPC.List",
	}
	for _, g := range append(ccmtest.Generations(), ccmtest.GenModern) {
		t.Run(g.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: g})
				begin := time.Now()
				r := up(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
				if d := time.Since(begin); d > time.Second {
					t.Errorf("found after %v", d)
				}
				h := r.module.Host("")
				info := h.Info()
				if got := info.Generation(); got != want[g] || h.Status().State != ccm.HostReady {
					t.Errorf("taken for %q, %v", got, h.Status().State)
				}
				var methods []string
				for _, line := range s.mcu.Received() {
					method, _ := mjson.Find([]byte(line), "$.method").Text()
					methods = append(methods, method)
				}
				if got := strings.Join(methods, " "); !strings.HasPrefix(got+" ", asked[g]+" ") {
					t.Errorf("asked%s, want%s", got, asked[g])
				}
				answers(t, h)
				_, err := h.Call(t.Context(), nil, "This_Function_Does_Not_Exist", "%B", true)
				if !errors.Is(err, jsonrpc.ErrMethodNotFound) {
					t.Errorf("unknown method: %v", err)
				}
				if n := s.mcu.Stats().Complaints; n != 0 {
					t.Errorf("the host did not understand %d frames", n)
				}
			})
		})
	}
}

// TestScenario1Manual: a host of 2018 answers RPC.List and Sys.Info as the CCM
// manual prints it.
func TestScenario1Manual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Bare: true, Info: jsonrpc.SysInfo{
			FWVersion: "1.0", Arch: "unknown", FWID: "Nov 24 2018 09:10:27", App: "posix_device",
		}})
		s.mcu.HandleFunc("Shadow.Delta", nothing)
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
		h := r.module.Host("")
		for method, printed := range map[string]string{
			"RPC.List": `["Shadow.Delta","RPC.List","Sys.Info"]`,
			"Sys.Info": `{"fw_version":"1.0", "arch":"unknown", "fw_id":"Nov 24 2018 09:10:27", "app":"posix_device"}`,
		} {
			if got, err := h.Call(t.Context(), nil, method, ""); string(got) != printed || err != nil {
				t.Errorf("%s: %s, %v", method, got, err)
			}
			if !strings.Contains(string(s.uart.Bytes(ccmtest.Host)), `"result":`+printed+"}\n") {
				t.Errorf("%s: not so on the line", method)
			}
		}
		i := h.Info()
		if i.FWVersion != "1.0" || i.Arch != "unknown" || i.FWID != "Nov 24 2018 09:10:27" || i.App != "posix_device" || len(i.Methods) != 3 {
			t.Errorf("%+v", i)
		}
		if err := h.Notify(t.Context(), "Shadow.Delta", `{"on": true}`); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if got := s.mcu.Calls(); len(got) != 1 || got[0].Params != `{"on": true}` || got[0].ID != "" {
			t.Errorf("calls %+v", got)
		}
	})
}

// TestScenario2 sends the frames that the CCM manual prints for a host, and those
// that its C code prints, to the byte, with every line end that hosts have. They
// take effect and, being notifications, are not answered. Config.Set and
// Config.Save are not there yet.
func TestScenario2(t *testing.T) {
	published := func(qos byte) func(c *ccmtest.Cloud) bool {
		return func(c *ccmtest.Cloud) bool {
			m := c.Messages("t1")
			return len(m) == 1 && string(m[0].Payload) == "hello" && m[0].QoS == qos && !m[0].Retain && m[0].Client == "dev"
		}
	}
	subscribed := func(filter string) func(c *ccmtest.Cloud) bool {
		return func(c *ccmtest.Cloud) bool {
			for _, e := range c.Events(ccmtest.BrokerSubscribe) {
				if e.Topic == filter && e.Client == "dev" && e.QoS == 1 && e.Code == 1 {
					return true
				}
			}
			return false
		}
	}
	reported := func(state string) func(c *ccmtest.Cloud) bool {
		return func(c *ccmtest.Cloud) bool { return c.Shadow("dev").Reported == state }
	}
	none := func(*ccmtest.Cloud) bool { return true }
	rows := []struct {
		frame  string
		effect func(c *ccmtest.Cloud) bool
		answer string
	}{
		{`{"method": "MQTT.Pub", "params": {"topic": "t1", "message": "hello"}}`, published(0), ""},
		{`{"method": "MQTT.Pub", "params": {"topic": "t1", "message": "hello", "qos": 1}}`, published(1), ""},
		{`{"method":"MQTT.Pub","params":{"topic":"t1","message":"hello","qos":1}}`, published(1), ""},
		{`{"method":"MQTT.Sub","params":{"topic":"t/#"}}`, subscribed("t/#"), ""},
		{`{"method":"MQTT.Sub","params":{"topic":"t\/#"}}`, subscribed("t/#"), ""}, // the library of 2018
		{`{"method": "Shadow.Report", "params": {"on": true}}`, reported(`{"on":true}`), ""},
		{`{"method": "Shadow.Report", "params": {"on": true, "uptime": 132}}`, reported(`{"on":true,"uptime":132}`), ""},
		{`{"method":"Shadow.Report","params":{"on":true}}`, reported(`{"on":true}`), ""},
		{`{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"ssid":{"enable":true,"ssid":"NAME","pass":"PASS"}}}}}`, none,
			`{"id":1,"error":{"code":-32601,"message":"method not found"}}`},
		{`{"id":1,"method":"Config.Set","params":{"config":{"wifi":{"sta":{"enable":true,"ssid":"NAME","pass":"PASS"}}}}}`, none,
			`{"id":1,"error":{"code":-32601,"message":"method not found"}}`},
		{`{"id":2,"method":"Config.Save","params":{"reboot":true}}`, none, `{"id":2,"error":{"code":-32601,"message":"method not found"}}`},
		{`{"method":"Config.Set","params":{"config":{"wifi":{"sta":{"enable":true,"ssid":"NAME","pass":"PASS"}}}}}`, none, ""},
		{`{"method":"Config.Save","params":{"reboot":true}}`, none, ""},
	}
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "none": ""} {
		for _, row := range rows {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud(t)
				h := newHand(t, ccmtest.Line{Baud: 115200})
				up(t, ccm.Config{
					ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
				})
				time.Sleep(time.Second)
				h.got()
				h.send(row.frame + end)
				time.Sleep(time.Second)
				if !row.effect(c) {
					t.Errorf("%s, line end %s: no effect; shadow %+v", row.frame, name, c.Shadow("dev"))
				}
				if row.answer != "" {
					h.want(row.frame, row.answer)
				} else {
					h.want(row.frame)
				}
			})
		}
	}
}
