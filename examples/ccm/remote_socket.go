package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// socket is a module that is reached by a websocket.
type socket struct{ conn *websocket.Conn }

// dialSocket opens a websocket.
func dialSocket(ctx context.Context, u *url.URL, trust *tls.Config, who login) (remote, error) {
	u = withPath(u)
	transport := &http.Transport{TLSClientConfig: trust}
	conn, answer, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	switch {
	case err != nil && answer != nil && answer.StatusCode != http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("%s answers %s: is it the websocket of a module?", u, answer.Status)
	case err != nil:
		return nil, err
	}
	conn.SetReadLimit(maxAnswer)
	return &framed{wire: socket{conn}, src: "ccm", who: who}, nil
}

func (s socket) send(ctx context.Context, frame []byte) error {
	return s.conn.Write(ctx, websocket.MessageText, frame)
}

func (s socket) receive(ctx context.Context) ([]byte, error) {
	_, frame, err := s.conn.Read(ctx)
	return frame, err
}

func (s socket) close() { s.conn.Close(websocket.StatusNormalClosure, "") }
