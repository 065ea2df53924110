package ccm_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// TestChangesInOrder: of changes that one peer has sent in a row the last one holds.
func TestChangesInOrder(t *testing.T) {
	m := newManaged(t, managedConfig{})
	c, err := net.Dial("tcp", m.tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for round := range 50 { // two calls each, as a channel has four places, and a call may keep its place after its reply
		var out strings.Builder
		for i := range 2 {
			fmt.Fprintf(&out, "\n\"\"\"{\"id\":%d,\"method\":\"Config.Set\",\"params\":{\"key\":\"wifi.sta.ssid\",\"value\":\"%d-%d\"}}\"\"\"\n", i+1, round, i)
		}
		if _, err := io.WriteString(c, out.String()); err != nil {
			t.Fatal(err)
		}
		for replies := 0; replies < 2; {
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			line, err := r.ReadString('\n')
			if err != nil || strings.Contains(line, "error") {
				t.Fatal(line, err)
			}
			replies += strings.Count(line, `"saved"`)
		}
		if s := m.store.String("wifi.sta.ssid"); s != fmt.Sprint(round, "-1") {
			t.Fatalf("round %d: %s holds", round, s)
		}
	}
}

// TestCloudChangesInOrder: the same for what is published in a row.
func TestCloudChangesInOrder(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			b := newBroker(t, ccmtest.BrokerOptions{})
			m := newManaged(t, managedConfig{noDoors: true, module: func(c *ccm.Config) { c.ID, c.Cloud = "dev", via(b) }})
			m.online()
			synctest.Wait()
			for i := range 8 {
				publish(t, b, "dev/rpc", fmt.Sprintf(`{"method":"Config.Set","params":{"key":"wifi.sta.ssid","value":"n%d"}}`, i))
			}
			synctest.Wait()
			if s := m.store.String("wifi.sta.ssid"); s != "n7" {
				t.Errorf("%s holds", s)
			}
		})
	}
}
