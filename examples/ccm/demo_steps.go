package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
)

// discover waits until the module knows its hosts: the cloud is told their
// methods.
func discover(ctx context.Context, r *rig) (string, error) {
	err := eventually(ctx, func() error {
		once, cancel := context.WithTimeout(ctx, time.Second) // the module may not be connected yet
		defer cancel()
		list, err := r.user.call(once, "RPC.List", nil)
		switch {
		case err != nil:
			return err
		case !strings.Contains(list, `"host/Sum"`) || !strings.Contains(list, `"modern/Sum"`):
			return fmt.Errorf("RPC.List of the module is %s", list)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for _, method := range []string{"Sys.Info", "RPC.List"} {
		if !received(r.stock, `"method":"`+method+`"`) || !received(r.modern, `"method":"`+method+`"`) {
			return "", fmt.Errorf("a host was not asked for %s", method)
		}
	}
	return "both hosts were asked who they are; the cloud sees host/Sum and modern/Sum", nil
}

// received reports whether the firmware of a host has received a line with a
// text.
func received(m *ccmtest.MCU, text string) bool {
	return slices.ContainsFunc(m.Received(), func(line string) bool { return strings.Contains(line, text) })
}

// callSum calls both hosts.
func callSum(ctx context.Context, r *rig) (string, error) {
	for _, c := range []struct {
		method string
		mcu    *ccmtest.MCU
	}{{"Sum", r.stock}, {"modern/Sum", r.modern}} {
		got, err := r.user.call(ctx, c.method, []int{2, 3})
		if err != nil || got != "5" {
			return "", fmt.Errorf("%s [2,3] = %s, %v", c.method, got, err)
		}
		calls := c.mcu.Calls()
		if last := calls[len(calls)-1]; last.Method != "Sum" || last.Params != "[2,3]" {
			return "", fmt.Errorf("%s: the host was called %s %s", c.method, last.Method, last.Params)
		}
	}
	return "each host got [2,3] once, and the caller at the broker 5", nil
}

// callNothing calls a method that the host does not have.
func callNothing(ctx context.Context, r *rig) (string, error) {
	before := len(r.stockLine.Bytes(ccmtest.Host))
	got, err := r.user.call(ctx, "host/No.Such", nil)
	if !errors.Is(err, jsonrpc.ErrMethodNotFound) {
		return "", fmt.Errorf("got %s, %v", got, err)
	}
	if wire := r.stockLine.Bytes(ccmtest.Host)[before:]; !bytes.Contains(wire, []byte(`"code":-32601`)) {
		return "", fmt.Errorf("on the UART the host said %q", wire)
	}
	return "the host said -32601 on its UART, and the caller got that", nil
}

// listMethods asks the stock host what it exports.
func listMethods(ctx context.Context, r *rig) (string, error) {
	got, err := r.user.call(ctx, "host/RPC.List", nil)
	want := `["Shadow.Delta","Sum","RPC.List","Sys.Info"]`
	if err != nil || got != want {
		return "", fmt.Errorf("got %s, %v, want %s", got, err, want)
	}
	if wire := r.stockLine.Bytes(ccmtest.Host); !bytes.Contains(wire, []byte(`"result":`+want)) {
		return "", errors.New("the answer was never on the UART")
	}
	return got + ", as on the UART", nil
}

// publish has both hosts publish.
func publish(ctx context.Context, r *rig) (string, error) {
	if err := r.stock.Notify(ctx, "MQTT.Pub", `{"topic":%Q,"message":%Q,"qos":%d}`, upTopic+"/stock", "2018 says hello", 1); err != nil {
		return "", err
	}
	if err := r.modern.Host().Publish(ctx, upTopic+"/modern", []byte("today says hello"), 1); err != nil {
		return "", fmt.Errorf("\"today says hello\" was not acknowledged: %w", err)
	}
	err := r.published(ctx, upTopic+"/stock", "2018 says hello")
	if err == nil {
		err = r.published(ctx, upTopic+"/modern", "today says hello")
	}
	return "the broker has the messages of both hosts, with QoS 1", err
}

// published waits until the broker has a message.
func (r *rig) published(ctx context.Context, topic, payload string) error {
	return eventually(ctx, func() error {
		for _, m := range r.cloud.Messages(topic) {
			if string(m.Payload) == payload && m.QoS == 1 {
				return nil
			}
		}
		return fmt.Errorf("the broker has no message %q on %s", payload, topic)
	})
}

// subscribe has both hosts subscribe, and sends each a message.
func subscribe(ctx context.Context, r *rig) (string, error) {
	text := `say "hello", µC`
	hosts := []*ccmtest.MCU{r.modern, r.stock}
	for _, m := range hosts {
		if _, err := m.Call(ctx, "MQTT.Sub", `{"topic":%Q}`, downTopic+"/#"); err != nil {
			return "", fmt.Errorf("MQTT.Sub of host %v: %w", m.Generation(), err)
		}
	}
	if err := r.user.publish(ctx, downTopic+"/1", []byte(text)); err != nil {
		return "", err
	}
	err := eventually(ctx, func() error {
		for _, m := range hosts {
			if !gotMessage(m, downTopic+"/1", text) {
				return fmt.Errorf("host %v did not get the message", m.Generation())
			}
		}
		return nil
	})
	return "a message of the cloud reached both hosts as MQTT.Message", err
}

// gotMessage reports whether the firmware of a host has received MQTT.Message.
func gotMessage(m *ccmtest.MCU, topic, text string) bool {
	return slices.ContainsFunc(m.Received(), func(line string) bool {
		params := mjson.Find([]byte(line), "$.params").Raw
		return text0([]byte(line), "$.method") == "MQTT.Message" &&
			text0(params, "$.topic") == topic && text0(params, "$.message") == text
	})
}

// desire changes the desired state of the stock host, as an app would.
func desire(ctx context.Context, r *rig) (string, error) {
	if err := r.user.publish(ctx, "$aws/things/"+deviceID+"/shadow/update", []byte(`{"state":{"desired":{"on":true}}}`)); err != nil {
		return "", err
	}
	if err := r.converged(ctx, `{"on":true}`); err != nil {
		return "", err
	}
	switch wire := r.stockLine.Bytes(ccmtest.Module); {
	case !r.stock.On():
		return "", errors.New("the host is not on")
	case !bytes.Contains(wire, []byte(`{"method":"Shadow.Delta","params":{"on":true}}`)):
		return "", errors.New("no Shadow.Delta was on the UART")
	}
	return "the host got Shadow.Delta, is on, and reported it; the shadow has no delta", nil
}

// converged waits until the shadow of the stock host has these members in its
// desired and in its reported state, and no delta.
func (r *rig) converged(ctx context.Context, want string) error {
	return eventually(ctx, func() error {
		s := r.cloud.Shadow(deviceID)
		if s.Delta != "" {
			return fmt.Errorf("the shadow has a delta: %.200s", s.Delta)
		}
		for name, section := range map[string]string{"desired": s.Desired, "reported": s.Reported} {
			if left, err := shadow.Diff([]byte(want), []byte(section)); err != nil || string(left) != "{}" {
				return fmt.Errorf("the %s state of the shadow is %.200s, %v", name, section, err)
			}
		}
		return nil
	})
}
