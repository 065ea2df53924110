package ccmtest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// newCloud returns a cloud that is closed at the end of the test.
func newCloud(t *testing.T, o ccmtest.CloudOptions) *ccmtest.Cloud {
	c, err := ccmtest.NewCloud(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestCloudDevice: a device on the wire, and a user who sets its desired state.
func TestCloudDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, ccmtest.CloudOptions{})
		if s := c.Shadow("dev"); s != (ccmtest.ShadowState{}) {
			t.Errorf("at first: %+v", s)
		}
		dev := connect(t, c.Broker, "dev", true)
		const topic = "$aws/things/dev/shadow/"
		dev.subscribe(topic+"update/delta", topic+"update/accepted")
		if err := c.SetDesired("dev", `{"on":true,"level":5}`); err != nil {
			t.Fatal(err)
		}
		accepted, delta := dev.receive(), dev.receive()
		if accepted.TopicName != topic+"update/accepted" || delta.TopicName != topic+"update/delta" ||
			mjson.Find(delta.Payload, "$.state.on").String() != "true" {
			t.Errorf("%s %s, %s %s", accepted.TopicName, accepted.Payload, delta.TopicName, delta.Payload)
		}
		if s := c.Shadow("dev"); s.Desired != `{"on":true,"level":5}` || s.Delta != s.Desired || s.Reported != "" || s.Version != 1 {
			t.Errorf("%+v", s)
		}
		dev.publish(topic+"update", `{"state":{"reported":{"on":true,"level":5}},"clientToken":"t1"}`, 1, 1)
		dev.next() // PUBACK
		if m := dev.receive(); mjson.Find(m.Payload, "$.clientToken").String() != `"t1"` {
			t.Errorf("%s %s", m.TopicName, m.Payload)
		}
		if s := c.Shadow("dev"); s.Delta != "" || s.Reported != `{"on":true,"level":5}` || s.Version != 2 {
			t.Errorf("%+v", s)
		}
		if err := c.SetDesired("dev/pump", `{"rpm":9}`); err != nil || c.Shadow("dev/pump").Desired != `{"rpm":9}` || c.Shadow("dev").Version != 2 {
			t.Errorf("named: %v, %+v", err, c.Shadow("dev/pump"))
		}
		if err := c.SetReported("dev/pump", `{"rpm":9}`); err != nil || c.Shadow("dev/pump").Delta != "" {
			t.Errorf("reported: %v", err)
		}
		if err := c.SetDesired("dev", `{"on":null,"level":null}`); err != nil || c.Shadow("dev").Desired != "" {
			t.Errorf("removed: %v, %+v", err, c.Shadow("dev"))
		}
		var refused *shadow.Error
		if err := c.SetDesired("dev", `5`); !errors.As(err, &refused) || refused.Code != 400 {
			t.Errorf("no object: %v", err)
		}
		if err := c.DeleteShadow("dev"); err != nil || c.DeleteShadow("dev") != nil || c.Shadow("dev").Version != 0 {
			t.Errorf("deleted: %v", err)
		}
		if err := c.DeleteShadow("no such/name with spaces"); !errors.As(err, &refused) {
			t.Errorf("bad name: %v", err)
		}
	})
}

// TestCloudAtOnce: the service hears the first request.
func TestCloudAtOnce(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud(t, ccmtest.CloudOptions{})
			c.Publish("$aws/things/dev/shadow/get", 1, false, nil)
			synctest.Wait()
			if m := c.Messages("$aws/things/dev/shadow/get/rejected"); len(m) != 1 {
				t.Errorf("%d answers", len(m))
			}
		})
	}
}

// TestCloudSyncer: the engine of package shadow over an in-process transport.
func TestCloudSyncer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, ccmtest.CloudOptions{})
		tr := c.NewTransport()
		defer tr.Close()
		backend, err := aws.New(tr, "dev", "")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var deltas []string
		if err := backend.Subscribe(t.Context(), func(d shadow.Delta) {
			mu.Lock()
			defer mu.Unlock()
			deltas = append(deltas, string(d.State))
		}); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := c.SetDesired("dev", fmt.Sprintf(`{"n":%d}`, i)); err != nil {
				t.Fatal(err)
			}
			if err := backend.Report(t.Context(), fmt.Appendf(nil, `{"n":%d}`, i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if s := c.Shadow("dev"); len(deltas) != 100 || deltas[99] != `{"n":99}` || s.Version != 200 || s.Delta != "" {
			t.Errorf("%d deltas, %+v", len(deltas), s)
		}
	})
}

// TestTransport: order, errors, and what Close ends.
func TestTransport(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		tr := b.NewTransport()
		var got []string
		handle := func(topic string, payload []byte) { got = append(got, topic+string(payload)) }
		if err := tr.Subscribe(t.Context(), []string{"a/+", "b/#/c"}, 1, handle); !errors.Is(err, ccmtest.ErrTopic) {
			t.Errorf("bad filter: %v", err)
		}
		if err := tr.Subscribe(t.Context(), []string{"a/+", "b"}, 1, handle); err != nil {
			t.Fatal(err)
		}
		b.Stop() // an outage is none for this process
		want := []string{}
		for i := range 3000 { // more than the queue holds
			tr.Publish(t.Context(), "a/1", 1, fmt.Append(nil, i))
			want = append(want, fmt.Sprint("a/1", i))
		}
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("%d messages", len(got))
		}
		if err := tr.Publish(t.Context(), "a/#", 1, nil); !errors.Is(err, ccmtest.ErrTopic) {
			t.Errorf("bad topic: %v", err)
		}
		tr.Close()
		tr.Close()
		b.Publish("b", 0, false, nil)
		if len(got) != len(want) {
			t.Error("a message after Close")
		}
	})
}

// TestCloudStorage: a directory that cannot be used, and one that can.
func TestCloudStorage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := ccmtest.NewCloud(ccmtest.CloudOptions{Service: service.Config{Dir: file}}); err == nil {
		c.Close()
		t.Error("a file is taken for a directory")
	}
	dir := t.TempDir()
	for i := range 2 {
		var mu sync.Mutex
		events := 0
		c, err := ccmtest.NewCloud(ccmtest.CloudOptions{Service: service.Config{Dir: dir, Observer: func(service.Event) {
			mu.Lock()
			defer mu.Unlock()
			events++
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if v := c.Shadow("dev").Version; v != int64(i) {
			t.Errorf("start %d: version %d", i, v)
		}
		if err := c.SetDesired("dev", `{"a":1}`); err != nil {
			t.Error(err)
		}
		start := time.Now()
		if err := c.Close(); err != nil || time.Since(start) > 5*time.Second || events == 0 {
			t.Errorf("Close: %v, %d events", err, events)
		}
	}
}
