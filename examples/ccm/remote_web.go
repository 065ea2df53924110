package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/ccmkit/ccmkit/ccm/access"
)

// web is a module that is reached by HTTP: POST of a frame.
type web struct {
	framed
	url    *url.URL
	client *http.Client
	next   []byte // the answer to the last frame
	kind   string // its Content-Type
}

// newWeb returns a way to a module by HTTP. It connects when it is called.
func newWeb(u *url.URL, trust *tls.Config, who login) *web {
	u = withPath(u)
	w := &web{url: u, client: &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}}
	w.framed = framed{wire: w, src: "ccm", who: who}
	return w
}

// withPath returns a URL with the path of the RPC, if it has none.
func withPath(u *url.URL) *url.URL {
	if u.Path != "" && u.Path != "/" {
		return u
	}
	with := *u
	with.Path = "/rpc"
	return &with
}

// send posts a frame, once more with a login if that is asked for.
func (w *web) send(ctx context.Context, frame []byte) error {
	status, head, body, err := w.post(ctx, frame, "")
	if err == nil && status == http.StatusUnauthorized {
		challenge := head.Get("WWW-Authenticate")
		if w.who.password == "" {
			return errNoPassword
		}
		var authorization string
		if authorization, err = access.AnswerHTTP(challenge, w.who.user, string(w.who.password), http.MethodPost, w.url.RequestURI()); err != nil {
			return err
		}
		if status, head, body, err = w.post(ctx, frame, authorization); err == nil && status == http.StatusUnauthorized {
			return errLogin
		}
	}
	switch {
	case err != nil:
		return err
	case status == http.StatusTooManyRequests && len(bytes.TrimSpace(body)) == 0:
		return errTooManyLogins
	case status != http.StatusOK:
		text := readable(bytes.TrimSpace(body))
		if text != "" {
			text = ": " + cutTo(text, 200)
		}
		return fmt.Errorf("%s answers %d %s%s", w.url, status, http.StatusText(status), text)
	}
	w.next, w.kind = body, head.Get("Content-Type")
	return nil
}

// post posts a frame.
func (w *web) post(ctx context.Context, frame []byte, authorization string) (status int, head http.Header, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(frame))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode, answer.Header, body, err
}

// receive returns the answer to the last frame. There is only one: if it is none, it
// is asked for again.
func (w *web) receive(context.Context) ([]byte, error) {
	switch {
	case w.next == nil:
		return nil, fmt.Errorf("%s answers something else (%s): is it the RPC of a module?", w.url, cmp.Or(w.kind, "no Content-Type"))
	case len(w.next) == 0:
		return nil, fmt.Errorf("%s answers nothing: is it the RPC of a module?", w.url)
	}
	answer := w.next
	w.next = nil
	return answer, nil
}

func (w *web) close() { w.client.CloseIdleConnections() }
