package ccm_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// hand is a host that the test plays by hand, line by line. It answers by itself
// when the module asks who it is.
type hand struct {
	t    testing.TB
	uart *ccmtest.UART
	port *ccmtest.End
	work sync.WaitGroup

	mu    sync.Mutex
	part  string   // of a line
	lines []string // received and not taken
	reply func(line string) (answer string, done bool)
}

// newHand returns a host that ends with the test.
func newHand(t testing.TB, l ccmtest.Line) *hand {
	h := &hand{t: t, uart: ccmtest.NewUART(l)}
	h.port = h.uart.Host()
	h.work.Go(h.read)
	t.Cleanup(func() {
		h.port.Close()
		h.work.Wait()
	})
	return h
}

// config describes the way to the host.
func (h *hand) config(name string) ccm.HostConfig {
	return ccm.HostConfig{Name: name, Open: h.uart.OpenModule}
}

// read receives lines until the port is closed.
func (h *hand) read() {
	for buf := make([]byte, 512); ; {
		n, err := h.port.Read(buf)
		if err != nil {
			return
		}
		h.part += string(buf[:n])
		for {
			line, rest, whole := strings.Cut(h.part, "\n")
			if !whole {
				break
			}
			h.part = rest
			if answer := h.take(line); answer != "" {
				h.port.Write([]byte(answer + "\n"))
			}
		}
	}
}

// take keeps a line, or returns the answer to it.
func (h *hand) take(line string) (answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reply != nil {
		if answer, done := h.reply(line); done {
			return answer
		}
	}
	id := string(mjson.Find([]byte(line), "$.id").Raw)
	switch method, _ := mjson.Find([]byte(line), "$.method").Text(); {
	case line == "", method == "Sys.Init":
		return ""
	case method == "Sys.Info", method == "rpc.list":
		answer = `{"id":` + id + `,"error":{"code":-32601,"message":"method not found"}}`
	case method == "RPC.List":
		answer = `{"id":` + id + `,"result":["Sum","RPC.List"]}`
	default:
		h.lines = append(h.lines, line)
		return ""
	}
	return answer
}

// answer has f answer lines before the host does. It returns the answer, "" for
// none, and whether it has dealt with the line.
func (h *hand) answer(f func(line string) (answer string, done bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reply = f
}

// send sends text as it is.
func (h *hand) send(text string) {
	h.t.Helper()
	if _, err := h.port.Write([]byte(text)); err != nil {
		h.t.Fatalf("send: %v", err)
	}
}

// got waits until nothing happens any more, and returns the lines that have come
// since it was called last.
func (h *hand) got() []string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := h.lines
	h.lines = nil
	return lines
}

// want demands the lines that have come.
func (h *hand) want(what string, lines ...string) {
	h.t.Helper()
	if got := h.got(); !slices.Equal(got, lines) {
		h.t.Errorf("%s: host received %q, want %q", what, got, lines)
	}
}

// ask sends a line and returns the one that comes back, or "".
func (h *hand) ask(line string) string {
	h.t.Helper()
	h.got()
	h.send(line + "\n")
	switch lines := h.got(); len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	default:
		h.t.Errorf("%s: host received %q", line, lines)
		return lines[0]
	}
}

// asks demands the answer to a line.
func (h *hand) asks(line, answer string) {
	h.t.Helper()
	if got := h.ask(line); got != answer {
		h.t.Errorf("%s\nanswered %s\nwant     %s", line, got, answer)
	}
}

// message is the frame by which a host gets a message.
func message(topic, text string) string {
	frame, _ := mjson.Appendf(nil, `{"method":"MQTT.Message","params":{"topic":%Q,"message":%Q}}`, topic, text)
	return string(frame)
}
