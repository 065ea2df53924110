package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/spf13/cobra"
)

const monitorHelp = `Shows what comes from an endpoint, line by line, and sends nothing: connect it to
a line that joins two others, or to a TCP server that mirrors one. A line carries
one direction; for the other, run a second monitor. ccm --help lists the forms of
an ENDPOINT.

With --mqtt, it shows what goes through a broker to and from a device: all topics
below DEVICE, and its shadow; without DEVICE, everything the broker gives.

With --json every line is an object:

  {"time":"...","frame":{...},"crc":true}       a frame, and whether it had a CRC suffix
  {"time":"...","kind":"junk","text":"..."}     a line that is no frame, or a damaged one
  {"time":"...","topic":"...","payload":...}    a message: JSON as it is, other text as a
                                                string, or else "base64":"..."`

// monitor shows traffic.
type monitor struct {
	*program
	mqtt mqttFlags
	url  string
	json bool
}

// monitorCommand is ccm monitor.
func (p *program) monitorCommand() *cobra.Command {
	m := &monitor{program: p}
	cmd := &cobra.Command{
		Use: "monitor ENDPOINT | --mqtt URL", Short: "Show the frames of a link, or the traffic of a device", Long: monitorHelp,
		Example: "  ccm monitor /dev/ttyUSB1\n  ccm monitor --mqtt mqtt://127.0.0.1:1883/dev-1",
		Args:    between(0, "ENDPOINT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case m.url == "" && len(args) == 0:
				return usage(cmd, "give an ENDPOINT or --mqtt")
			case m.url != "" && len(args) > 0:
				return usage(cmd, "give an ENDPOINT or --mqtt, not both")
			case m.url == "" && isBroker(args[0]):
				return usage(cmd, "a broker is given as --mqtt %s", args[0])
			case m.url != "":
				return m.watchBroker(cmd)
			}
			return m.watchPort(cmd, args[0])
		},
	}
	cmd.Flags().StringVar(&m.url, "mqtt", "", "`URL` of a broker and a device: mqtt://HOST[:PORT]/DEVICE")
	cmd.Flags().BoolVar(&m.json, "json", false, "print JSON, one object a line")
	m.mqtt.add(cmd)
	return cmd
}

// sight is something that was seen.
type sight struct {
	Time    time.Time       `json:"time"`
	Kind    string          `json:"kind,omitempty"` // what it is, unless it is a good frame or a message
	Frame   json.RawMessage `json:"frame,omitempty"`
	CRC     bool            `json:"crc,omitempty"`
	Text    string          `json:"text,omitempty"`
	Error   string          `json:"error,omitempty"`
	Topic   string          `json:"topic,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Base64  string          `json:"base64,omitempty"`
	QoS     byte            `json:"qos,omitempty"`
	Retain  bool            `json:"retain,omitempty"`

	raw []byte
}

// show prints a sight.
func (m *monitor) show(s sight) {
	s.Time = time.Now()
	if m.json {
		enc := json.NewEncoder(m.out)
		enc.SetEscapeHTML(false)
		enc.Encode(s) // the printer keeps the error
		return
	}
	clock := m.paint(dim, s.Time.Format("15:04:05.000"))
	switch {
	case s.Topic != "":
		marks := ""
		if s.Retain {
			marks = m.paint(dim, " (retained)")
		}
		m.out.printf("%s %s%s %s\n", clock, m.paint(cyan, readable([]byte(s.Topic))), marks, readable(s.raw))
	case s.Kind == "":
		m.out.printf("%s %s%s\n", clock, readable(s.raw), m.paint(dim, mark(s.CRC, "  crc")))
	default:
		m.out.printf("%s %s %s\n", clock, m.paint(yellow, s.Kind), readable(s.raw))
	}
}

func mark(on bool, text string) string {
	if on {
		return text
	}
	return ""
}

// watchPort shows what comes from an endpoint, until ctx ends or the other end
// hangs up.
func (m *monitor) watchPort(cmd *cobra.Command, text string) error {
	at, err := parseEndpoint(text)
	if err != nil {
		return usage(cmd, "%v", err)
	}
	port, err := at.open(cmd.Context())
	if err != nil {
		return at.openError(err)
	}
	m.log.printf("listening to %s; Ctrl-C ends it\n", at)
	return m.listen(cmd.Context(), port)
}

// listen shows the frames of a port, which it closes.
func (m *monitor) listen(ctx context.Context, port framing.Port) error {
	frames := framing.NewConn(port, &framing.Options{MaxFrame: 1 << 20, Observer: m.odd})
	defer frames.Close()
	defer whenDone(ctx, func() { frames.Close() })()
	var msg jsonrpc.Message
	for m.out.failed() == nil {
		line, err := frames.ReadFrame()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF):
			m.log.printf("the other end has hung up\n")
			return nil
		case err != nil:
			return err
		}
		s := sight{raw: line, CRC: frames.PeerCRC()}
		frames.ResetPeer() // each frame by itself
		if err := jsonrpc.Parse(line, &msg); jsonrpc.Valid(line) {
			s.Frame = line
		} else {
			s.Kind, s.Text, s.Error = "malformed", string(line), err.Error()
		}
		m.show(s)
	}
	return nil // run returns the error
}

// odd shows what is no ordinary frame.
func (m *monitor) odd(e framing.Event) {
	switch e.Kind {
	case framing.EventFlushed, framing.EventMerged, framing.EventRefused:
		return // the line was or will be shown
	}
	m.show(sight{Kind: e.Kind.String(), Text: string(e.Line), raw: e.Line})
}

// watchBroker shows the messages to and from a device.
func (m *monitor) watchBroker(cmd *cobra.Command) error {
	cfg, device, err := m.mqtt.config(cmd, "--mqtt", m.url)
	if err != nil {
		return err
	}
	filters := []string{"#", "$aws/things/#"}
	if device != "" {
		filters = []string{device + "/#", "$aws/things/" + device + "/shadow/#"}
	}
	for _, f := range filters {
		if err := cloud.ValidFilter(f); err != nil {
			return usage(cmd, "--mqtt: %s", flagNames("--mqtt").Replace(err.Error()))
		}
	}
	cfg.OnMessage = func(msg *cloud.Message) {
		msg.Ack()
		m.show(message(msg))
	}
	tell := func(s cloud.Status) {
		if s.Reason != cloud.ReasonStopped {
			m.log.printf("%s\n", s)
		}
	}
	s, err := join(cmd.Context(), cfg, tell, filters...)
	if err != nil {
		if cmd.Context().Err() != nil {
			return nil
		}
		return err
	}
	defer s.leave()
	m.log.printf("listening to %s and %s at %s; Ctrl-C ends it\n", filters[0], filters[1], s.Status().Server)
	<-cmd.Context().Done()
	return nil
}

// message returns a message as it is shown.
func message(msg *cloud.Message) sight {
	s := sight{Topic: msg.Topic, QoS: msg.QoS, Retain: msg.Retain, raw: msg.Payload}
	switch {
	case jsonrpc.Valid(msg.Payload):
		s.Payload = msg.Payload
	case utf8.Valid(msg.Payload):
		s.Payload, _ = json.Marshal(string(msg.Payload))
	default:
		s.Base64 = base64.StdEncoding.EncodeToString(msg.Payload)
	}
	return s
}
