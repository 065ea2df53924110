package channel_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
)

func withTLS(conf *tls.Config) func(*websocket.DialOptions) {
	return func(o *websocket.DialOptions) {
		conf := conf.Clone()
		conf.NextProtos = nil
		o.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
	}
}

// upgrade opens a websocket by hand.
func upgrade(t testing.TB, addr string, headers ...string) (net.Conn, *bufio.Reader, response) {
	t.Helper()
	c := dial(t, addr)
	headers = append([]string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: KAp5qHsSXaSdazmbyeRHDQ=="}, headers...)
	io.WriteString(c, request("GET", "/rpc", "", headers...))
	br := bufio.NewReader(c)
	return c, br, readResponse(t, br)
}

// wsFrame makes a frame of a client. A length that is not that of the payload is
// written as it is, in eight bytes.
func wsFrame(head byte, payload string, length uint64) []byte {
	b := []byte{head}
	switch {
	case length != uint64(len(payload)) || len(payload) > 65535:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	case len(payload) > 125:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = append(b, 0x80|byte(length))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

func text(payload string) []byte { return wsFrame(0x81, payload, uint64(len(payload))) }

// TestWebsocketOrigin: whose pages may open a websocket.
func TestWebsocketOrigin(t *testing.T) {
	for _, tt := range []struct {
		header string
		status int
	}{
		{"", 101}, {"Origin: https://api.cesanta.com/", 101}, {"Origin: https://api.cesanta.com", 101},
		{"Origin: http://127.0.0.1:8910", 101}, {"Origin: http://evil.example", 403}, {"Origin: http://api.cesanta.com", 403},
		{"Origin: https://api.cesanta.com.evil.example", 403}, {"Origin: https://api.cesanta.com:444", 403},
		{"Origin: null", 403}, {"Host: evil.example", 403}, {"Host: ccm_A1B2C3", 101},
	} {
		r := newRig(t, nil)
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		headers := []string{}
		if tt.header != "" {
			headers = append(headers, tt.header)
		}
		c, _, res := upgrade(t, addr, headers...)
		if res.StatusCode != tt.status {
			t.Errorf("%s: %d", tt.header, res.StatusCode)
		}
		c.Close()
	}
}

// TestWebsocketProtocol: the subprotocol of mos and that of mDash come back,
// others do not.
func TestWebsocketProtocol(t *testing.T) {
	r := newRig(t, nil)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	for in, want := range map[string]string{"clubby.cesanta.com": "clubby.cesanta.com", "json-rpc": "json-rpc", "x, json-rpc": "json-rpc", "x": ""} {
		c, _, res := upgrade(t, addr, "Sec-WebSocket-Protocol: "+in)
		if got := res.Header.Get("Sec-WebSocket-Protocol"); res.StatusCode != 101 || got != want {
			t.Errorf("%s: %d %q", in, res.StatusCode, got)
		}
		c.Close()
	}
}

// TestWebsocketMessages: text and binary, fragments, several calls at a time, and
// what is no frame.
func TestWebsocketMessages(t *testing.T) {
	r := newRig(t, nil)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	ws := dialSocket(t, "ws://"+addr+"/rpc")
	send(t, ws, `{"id":1,"method":"Test.Block"}`)
	send(t, ws, "")
	send(t, ws, "hello")
	send(t, ws, `{"id":2,"result":1}`)
	send(t, ws, `{"error":{"code":404,"message":"Method [Shadow.Delta] not found"}}`)
	send(t, ws, `{"method":"Test.Echo"}`)
	ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"id":3,"method":"Test.Where"}`))
	if got, want := receive(t, ws), `{"id":3,"src":"ccm_A1B2C3","result":["`+access.LAN.String()+`","WS_in",""]}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	w, err := ws.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range `{"id":4,"method":"Test.Echo"}` {
		io.WriteString(w, string(c))
	}
	w.Close()
	if got := receive(t, ws); !strings.HasPrefix(got, `{"id":4,`) {
		t.Errorf("fragments: %s", got)
	}
	close(r.release)
	if got := receive(t, ws); !strings.HasPrefix(got, `{"id":1,`) {
		t.Errorf("the first call: %s", got)
	}
	// Four at a time, then 429.
	r.release = make(chan struct{})
	for i := range 5 {
		send(t, ws, `{"id":`+strconv.Itoa(10+i)+`,"method":"Test.Block"}`)
	}
	if got := receive(t, ws); !strings.Contains(got, `"code":429`) {
		t.Errorf("the fifth call: %s", got)
	}
	close(r.release)
	for range 4 {
		receive(t, ws)
	}
	ws.Close(websocket.StatusNormalClosure, "")
	eventually(t, "gone", func() bool { return r.Stats().Channels == 0 })
}

// TestWebsocketEnds: why and how the door closes a websocket.
func TestWebsocketEnds(t *testing.T) {
	t.Run("too long", func(t *testing.T) {
		r := newRig(t, nil)
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		ws := dialSocket(t, "ws://"+addr+"/rpc")
		frame := `{"id":1,"method":"Test.Where"}`
		send(t, ws, frame+strings.Repeat(" ", 4096-len(frame)))
		receive(t, ws)
		send(t, ws, frame+strings.Repeat(" ", 4097-len(frame)))
		_, _, err := ws.Read(t.Context())
		if websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
			t.Errorf("error %v", err)
		}
		eventually(t, "counted", func() bool { s := r.Stats(); return s.TooLong == 1 && s.Channels == 0 })
	})
	t.Run("ctx", func(t *testing.T) {
		r := newRig(t, nil)
		addr, stop := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		ws := dialSocket(t, "ws://"+addr+"/rpc")
		send(t, ws, `{"id":1,"method":"Test.Block"}`)
		eventually(t, "blocked", func() bool { return r.blocked.Load() == 1 })
		ended := make(chan error, 1)
		go func() {
			for {
				if _, _, err := ws.Read(context.Background()); err != nil {
					ended <- err
					return
				}
			}
		}()
		stop()
		if err := <-ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("error %v", err)
		}
		if n := r.blocked.Load(); n != 0 {
			t.Errorf("%d handlers are left", n)
		}
	})
	t.Run("ctx, and the peer does not answer", func(t *testing.T) {
		r := newRig(t, nil)
		addr, stop := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		for _, begun := range [][]byte{nil, {0x81}, wsFrame(0x81, "xx", 1<<40)} {
			c, _, _ := upgrade(t, addr)
			c.Write(begun)
		}
		stop() // would not return
	})
	t.Run("peer gone", func(t *testing.T) {
		r := newRig(t, nil)
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
		ws := dialSocket(t, "ws://"+addr+"/rpc")
		send(t, ws, `{"id":1,"method":"Test.Wait"}`)
		eventually(t, "at work", func() bool { return r.Stats().Handlers == 1 })
		ws.CloseNow()
		eventually(t, "over", func() bool { s := r.Stats(); return s.Handlers == 0 && s.Channels == 0 })
	})
	t.Run("no pong", func(t *testing.T) {
		r := newRig(t, nil)
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN, Limits: channel.Limits{Idle: 50 * time.Millisecond, Read: 100 * time.Millisecond}})
		good := dialSocket(t, "ws://"+addr+"/rpc")
		go good.Read(t.Context()) // answers pings
		_, br, _ := upgrade(t, addr)
		if b, err := br.ReadByte(); b != 0x89 || err != nil {
			t.Errorf("no ping: %x %v", b, err)
		}
		eventually(t, "cut off", func() bool { return r.Stats().Channels == 1 })
		if n := r.Stats().Channels; n != 1 {
			t.Errorf("%d connections", n)
		}
		good.CloseNow()
	})
	t.Run("message that does not end", func(t *testing.T) {
		r := newRig(t, nil)
		addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN, Limits: channel.Limits{Read: 100 * time.Millisecond}})
		c, _, _ := upgrade(t, addr)
		c.Write(wsFrame(0x01, "{", 1))
		go func() {
			for {
				if _, err := c.Write(wsFrame(0x00, "", 0)); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		eventually(t, "opened", func() bool { return r.Stats().Channels <= 1 })
		eventually(t, "cut off", func() bool { return r.Stats().Channels == 0 })
	})
}
