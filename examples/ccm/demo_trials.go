package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// outage takes the broker away, lets both ends change something meanwhile, and
// brings it back.
func outage(ctx context.Context, r *rig) (string, error) {
	if !r.stock.On() {
		return "", errors.New("the host is not on")
	}
	before := len(r.stockLine.Bytes(ccmtest.Module))
	r.cloud.Stop()
	defer r.cloud.Start()
	err := eventually(ctx, func() error {
		if clients := r.cloud.Clients(); len(clients) > 0 {
			return fmt.Errorf("%v are still connected", clients)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := r.stock.Notify(ctx, "MQTT.Pub", `{"topic":%Q,"message":%Q,"qos":%d}`, upTopic+"/outage", "kept", 1); err != nil {
		return "", err
	}
	if err := r.cloud.SetDesired(deviceID, `{"on":false}`); err != nil {
		return "", fmt.Errorf("shadow service: %w", err)
	}
	if !r.stock.On() {
		return "", errors.New("the host was told of it during the outage")
	}
	r.cloud.Start()
	if err := r.published(ctx, upTopic+"/outage", "kept"); err != nil {
		return "", err
	}
	if err := r.converged(ctx, `{"on":false}`); err != nil {
		return "", err
	}
	switch wire := r.stockLine.Bytes(ccmtest.Module)[before:]; {
	case r.stock.On():
		return "", errors.New("the host is still on")
	case !bytes.Contains(wire, []byte(`{"method":"Shadow.Delta","params":{"on":false}}`)):
		return "", errors.New("no Shadow.Delta was on the UART")
	}
	return "what was desired and what was published meanwhile has arrived; no delta", nil
}

// longDelta desires more than fits in a frame to the stock host.
func longDelta(ctx context.Context, r *rig) (string, error) {
	menu := map[string]string{}
	for i := range 12 {
		menu[fmt.Sprintf("line%02d", i)] = strings.Repeat(string(rune('a'+i)), 50)
	}
	want, err := json.Marshal(menu)
	if err != nil {
		return "", err
	}
	before := len(r.stockLine.Bytes(ccmtest.Module))
	request := fmt.Sprintf(`{"state":{"desired":{"menu":%s}}}`, want)
	if err := r.user.publish(ctx, "$aws/things/"+deviceID+"/shadow/update", []byte(request)); err != nil {
		return "", err
	}
	if err := r.converged(ctx, fmt.Sprintf(`{"menu":%s}`, want)); err != nil {
		return "", err
	}
	longest, frames := 0, 0
	for line := range bytes.Lines(r.stockLine.Bytes(ccmtest.Module)[before:]) {
		longest = max(longest, len(line)-1)
		if bytes.Contains(line, []byte(`"Shadow.Delta"`)) {
			frames++
		}
	}
	var got struct{ Menu map[string]string }
	switch err := json.Unmarshal([]byte(r.stock.State()), &got); {
	case err != nil:
		return "", err
	case fmt.Sprint(got.Menu) != fmt.Sprint(menu):
		return "", fmt.Errorf("the host has put together %v", got.Menu)
	case frames < 2 || longest > 255:
		return "", fmt.Errorf("%d frames, the longest of %d bytes", frames, longest)
	}
	return fmt.Sprintf("%d bytes came in %d frames of at most %d; the host has all; no delta", len(want), frames, longest), nil
}

const (
	noisePerByte = 2e-3 // bytes that are lost, flipped, doubled or inserted
	noiseCalls   = 24   // at a time
	noiseRounds  = 10   // at most
	enoughFaults = 6
)

// noise calls the modern host over a line with faults in both directions.
func noise(ctx context.Context, r *rig) (string, error) {
	if r.shown.CompareAndSwap(showAll, showDamaged) {
		r.d.out.printf("%s\n", r.d.paint(dim, "        (only what arrives damaged is shown)"))
		defer r.shown.Store(showAll)
	}
	module, far := r.modernLine.Module(), r.modernLine.Host()
	before := sums(r.modern)
	module.SetFaults(ccmtest.Uniform(noisePerByte))
	far.SetFaults(ccmtest.Uniform(noisePerByte))
	defer module.SetFaults(ccmtest.Faults{})
	defer far.SetFaults(ccmtest.Faults{})
	calls, faults := 0, uint64(0)
	for round := 0; round < noiseRounds && faults < enoughFaults; round++ {
		if err := r.sumsAtOnce(ctx, calls); err != nil {
			return "", err
		}
		calls += noiseCalls
		faults = module.Stats().Faults() + far.Stats().Faults()
	}
	switch ran := sums(r.modern) - before; {
	case faults == 0:
		return "", errors.New("the line had no faults")
	case ran != calls:
		return "", fmt.Errorf("%d calls, and the host ran %d", calls, ran)
	}
	return fmt.Sprintf("%d bytes damaged; %d calls, all sums right, each ran once", faults, calls), nil
}

// sumsAtOnce makes a number of calls at the same time.
func (r *rig) sumsAtOnce(ctx context.Context, from int) error {
	errs := make([]error, noiseCalls)
	var all sync.WaitGroup
	for i := range noiseCalls {
		all.Go(func() {
			got, err := r.user.call(ctx, "modern/Sum", []int{from + i, 1000})
			if want := fmt.Sprint(from + i + 1000); err == nil && got != want {
				err = fmt.Errorf("got %s", got)
			}
			if err != nil {
				errs[i] = fmt.Errorf("call with [%d,1000]: %w", from+i, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// sums counts the calls of Sum that a host has run.
func sums(m *ccmtest.MCU) (n int) {
	for _, c := range m.Calls() {
		if c.Method == "Sum" {
			n++
		}
	}
	return n
}
