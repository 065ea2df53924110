package ccm_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// requestRow is a request against an assembled module.
type requestRow struct {
	Name, Channel, Outcome string
	ACL                    string          `json:"conf_acl"`
	Open                   bool            `json:"window_open"`
	Request                json.RawMessage // a frame, or a string with the text of one, or {http, headers, body}
	After                  map[string]json.RawMessage
}

// canaries are secrets that must not be seen.
const canaries = `{"wifi":{"sta":{"pass":"canary-wifi"},"ap":{"pass":"canary-ap"}},"dash":{"token":"canary-dash"},"mqtt":{"pass":"canary-mqtt"}}`

// TestVectorsRequests: requests by channel, role and list, and that what is refused
// leaves everything as it was. Rows of a later part must fail and change nothing
// (rulings D7).
func TestVectorsRequests(t *testing.T) {
	vectors.Each(t, "bad/module/*.jsonl", 1, func(t *testing.T, row requestRow) {
		if mjson.Find(row.Request, "$.http").Exists() {
			m := newManaged(t, managedConfig{})
			row.run(t, m, func() (int, string) { return m.webRequest(t, &row) })
			return
		}
		synctest.Test(t, func(t *testing.T) {
			h := newHand(t, ccmtest.Line{})
			m := newManaged(t, managedConfig{noDoors: true, module: func(c *ccm.Config) {
				host := h.config("")
				host.MaxFrame = -1
				c.Hosts = []ccm.HostConfig{host}
			}})
			found(t, m.module.Host(""))
			row.run(t, m, func() (int, string) { return m.request(t, h, &row) })
		})
	})
}

// run sends the request of a row, and looks at what comes of it.
func (row *requestRow) run(t *testing.T, m *managed, send func() (code int, reply string)) {
	m.mustSet(t, canaries)
	m.mustSet(t, `{"conf_acl":`+string(mjson.AppendQuote(nil, row.ACL))+`}`)
	m.window.Store(row.Open)
	before := m.snapshot(t)
	code, reply := send()
	if strings.Contains(reply, "canary") {
		t.Errorf("a secret in %s", reply)
	}
	row.judge(t, code, reply)
	if now := m.snapshot(t); row.Outcome != "ok" && now != before {
		t.Errorf("was %s\nis  %s", before, now)
	}
	for key, want := range row.After {
		got, err := m.store.AppendJSON(nil, key, config.GetOptions{Reveal: true})
		if err != nil || string(want) != `"UNCHANGED"` && string(got) != string(want) {
			t.Errorf("%s is %s, %v", key, got, err)
		}
	}
}

// snapshot returns what is in use and what is stored.
func (m *managed) snapshot(t testing.TB) string {
	t.Helper()
	text, err := m.store.AppendJSON(nil, "", config.GetOptions{Reveal: true})
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		data, _ := os.ReadFile(filepath.Join(m.dir, f.Name()))
		text = append(append(append(text, '\n'), f.Name()...), data...)
	}
	return string(text)
}

// request sends the request of a row over its channel, and returns the code of the
// error, 0 for none, and the reply, "" for none.
func (m *managed) request(t *testing.T, h *hand, row *requestRow) (code int, reply string) {
	frame := string(row.Request)
	if text, is := (mjson.Value{Raw: row.Request}).Text(); is {
		frame = text
	}
	switch row.Channel {
	case "uart":
		h.got()
		if !mjson.Find([]byte(frame), "$.id").Exists() {
			h.send(frame + "\n")
			reply = h.ask(`{"id":77,"method":"Sys.Time"}`) // nothing comes before it
			if mjson.GetInt([]byte(reply), "$.id", 0) != 77 {
				t.Errorf("answered %s", reply)
			}
			return 0, ""
		}
		reply = h.ask(frame)
	default:
		origins := map[string]access.Origin{
			"ap":    {Role: access.User, Channel: access.HTTP, Remote: "192.168.4.2:1"},
			"ble":   {Role: access.User, Channel: access.GATTS},
			"http":  {Role: access.LAN, Channel: access.HTTP, Remote: "192.0.2.7:1"},
			"ws":    {Role: access.LAN, Channel: access.WSIn, Remote: "192.0.2.7:1"},
			"cloud": {Role: access.Cloud, Channel: access.MQTT},
		}
		o, is := origins[row.Channel]
		if !is {
			t.Fatalf("channel %q", row.Channel)
		}
		reply = m.ask(t, &o, strings.Replace(frame, "{", `{"src":"t",`, 1))
	}
	return errorCode(reply), reply
}

// webRequest sends an HTTP request to the door of the channel.
func (m *managed) webRequest(t *testing.T, row *requestRow) (int, string) {
	var q struct {
		HTTP    string
		Headers map[string]string
		Body    json.RawMessage
	}
	if err := json.Unmarshal(row.Request, &q); err != nil {
		t.Fatal(err)
	}
	address := m.web
	if row.Channel == "ap" {
		address = m.ap
	}
	method, path, _ := strings.Cut(q.HTTP, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, bytes.NewReader(q.Body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for key, value := range q.Headers {
		r.Header.Set(key, value)
	}
	r.Close = true
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, _ := io.ReadAll(a.Body)
	if a.StatusCode == http.StatusOK {
		return 0, string(text)
	}
	return a.StatusCode, string(text)
}

// judge compares the outcome.
func (row *requestRow) judge(t *testing.T, code int, reply string) {
	t.Helper()
	good := false
	switch row.Outcome {
	case "ok", "redacted":
		good = code == 0 && reply != ""
	case "denied":
		good = code == 403
	case "unauthorized":
		good = code == 401
	case "invalid":
		good = code == 400 || code == jsonrpc.CodeInvalidParams || strings.HasPrefix(row.Name, "ota_") && code != 0
	case "not_found":
		good = code == 404 || code == jsonrpc.CodeInvalidParams
	case "ok_or_not_found":
		good = code == 0 && reply != "" || code == 404
	case "accepted_or_rejected_silently", "silent":
		good = reply == ""
	case "ignored_or_invalid":
		good = true
	}
	if !good {
		t.Errorf("%s over %s: want %s, answered %s", row.Request, row.Channel, row.Outcome, reply)
	}
}
