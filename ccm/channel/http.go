package channel

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// HTTPConfig describes an [HTTP] door. Role must be set.
type HTTPConfig struct {
	// Role is that of everybody who comes through this door: access.User on the
	// access point, access.LAN elsewhere.
	Role access.Role

	// Hosts returns the names that a Host header may have beside IP addresses,
	// localhost and the device's id, without ports: dhcp_hostname, and those of
	// http.allowed_hosts. nil = none.
	Hosts func() []string

	// TLS, if set, makes Serve speak TLS only.
	TLS *tls.Config

	// Limits are the times that requests have.
	Limits Limits
}

// HTTP is the door for HTTP requests and websockets, on the path /rpc. As an
// [http.Handler] it checks and bounds requests; Serve also bounds headers,
// connections and times, and is the way to use it on a network.
type HTTP struct {
	s   *Service
	cfg HTTPConfig
}

// NewHTTP returns the door of a Service.
func NewHTTP(s *Service, cfg HTTPConfig) *HTTP {
	cfg.Limits.setDefaults()
	return &HTTP{s: s, cfg: cfg}
}

// path is the one that is served; methods follow it.
const path = "/rpc"

// ServeHTTP serves a request, or a websocket until it ends.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	connOf(r.Context()).pooled.touch()
	method, found := strings.CutPrefix(r.URL.Path+"/", path+"/")
	method = strings.TrimSuffix(method, "/")
	if !found {
		h.reject(w, r, http.StatusNotFound)
		return
	}
	socket := method == "" && isUpgrade(r)
	if !h.hostAllowed(r) || !originAllowed(r, socket) {
		h.reject(w, r, http.StatusForbidden)
		return
	}
	switch {
	case socket:
		h.serveSocket(w, r)
	case r.Method == http.MethodPost:
		h.post(w, r, method)
	case r.Method == http.MethodGet && (method == "RPC.List" || method == "Sys.GetInfo"):
		h.call(w, r, method, nil)
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allowed)
		w.Header().Set("Content-Length", "0")
	default:
		w.Header().Set("Allow", allowed)
		h.reject(w, r, http.StatusMethodNotAllowed)
	}
}

const allowed = "POST, OPTIONS"

// reject answers with a status and its text.
func (h *HTTP) reject(w http.ResponseWriter, r *http.Request, status int) {
	h.s.stats.rejected.Add(1)
	h.s.log.Debug("HTTP request refused", "remote", r.RemoteAddr, "status", status)
	http.Error(w, http.StatusText(status), status)
}

// post serves a frame, or the params of a method.
func (h *HTTP) post(w http.ResponseWriter, r *http.Request, method string) {
	if len(r.Header.Values("Origin")) > 0 && !isJSON(r.Header.Get("Content-Type")) {
		h.reject(w, r, http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(h.s.cfg.MaxFrame)))
	if err != nil {
		status := http.StatusBadRequest
		if _, is := errors.AsType[*http.MaxBytesError](err); is {
			h.s.stats.tooLong.Add(1)
			status = http.StatusRequestEntityTooLarge
		}
		w.Header().Set("Connection", "close")
		h.reject(w, r, status)
		return
	}
	if method != "" {
		h.call(w, r, method, body)
		return
	}
	h.frame(w, r, body)
}

// frame serves a frame.
func (h *HTTP) frame(w http.ResponseWriter, r *http.Request, body []byte) {
	o := h.origin(r)
	if len(body) == 0 && h.asks(r, o) {
		h.status(w, r, http.StatusUnauthorized)
		return
	}
	c, err := h.s.take(o, o, &Frame{Text: body}, h.login(r, o))
	if err == nil {
		h.serve(w, r, c)
		return
	}
	if config := manualForm(body); config != nil && h.cfg.Role == access.User {
		h.manual(w, r, config)
		return
	}
	if refused, is := errors.AsType[*access.Refusal](err); is {
		h.status(w, r, refused.Code)
		return
	}
	if errors.Is(err, ErrResponse) {
		w.Header().Set("Content-Length", "0") // no reply of any kind
		return
	}
	h.s.stats.rejected.Add(1)
	http.Error(w, invalidRequest, http.StatusBadRequest)
}

// asks reports whether a request without body asks for the challenge: clients
// such as curl send no body as long as they expect a 401.
func (h *HTTP) asks(r *http.Request, o *access.Origin) bool {
	if h.cfg.Role != access.LAN || r.Header.Get("Authorization") != "" {
		return false
	}
	refused := refusal(h.s.cfg.Gate.Authorize(o, "RPC.List"))
	return refused != nil && refused.Code == http.StatusUnauthorized
}

// call serves a method with its params.
func (h *HTTP) call(w http.ResponseWriter, r *http.Request, method string, params []byte) {
	o := h.origin(r)
	h.serve(w, r, h.s.takeMethod(o, o, method, params, h.login(r, o)))
}

// serve runs a call and writes its reply.
func (h *HTTP) serve(w http.ResponseWriter, r *http.Request, c *Call) {
	c.keepBusy(connOf(r.Context()).pooled)
	rc := http.NewResponseController(w)
	written := false
	c.Serve(r.Context(), func(reply []byte) error {
		written = true
		rc.SetWriteDeadline(time.Now().Add(h.cfg.Limits.Write)) // the handler may have taken long
		if c.Ready() && (c.code == jsonrpc.CodeUnauthorized || c.denied) {
			h.status(w, r, c.code)
			return nil
		}
		if err := h.body(w, c, reply); err != nil {
			return err
		}
		return rc.Flush()
	})
	if !written {
		w.Header().Set("Content-Length", "0")
	}
}

// body writes a reply.
func (h *HTTP) body(w http.ResponseWriter, c *Call, reply []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)+2))
	if c.bare {
		w.WriteHeader(c.httpStatus())
	}
	_, err := w.Write(append(reply, "\r\n"...))
	return err
}

// status answers a request that was refused: with the challenge if it must log
// in, and without a body.
func (h *HTTP) status(w http.ResponseWriter, r *http.Request, code int) {
	if l := h.s.cfg.Login; code == http.StatusUnauthorized && l != nil {
		w.Header().Set("WWW-Authenticate", l.HTTPChallengeFor(r.RemoteAddr))
	}
	if code < 400 || code > 599 {
		code = http.StatusForbidden
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(code)
}

// httpStatus is the status of POST /rpc/METHOD: as in Mongoose OS for what
// handlers answer, and as the code says for what the door answers.
func (c *Call) httpStatus() int {
	switch {
	case c.code == 0:
		return http.StatusOK
	case c.Ready() && c.code >= 400 && c.code < 500, c.code == 403, c.code == 404:
		return c.code
	}
	return http.StatusInternalServerError
}

// origin returns where a request comes from.
func (h *HTTP) origin(r *http.Request) *access.Origin {
	return &access.Origin{Role: h.cfg.Role, Channel: access.HTTP, Remote: r.RemoteAddr}
}

// login returns what checks the credentials in the header, or nil without any.
func (h *HTTP) login(r *http.Request, o *access.Origin) loginFunc {
	text := r.Header.Get("Authorization")
	if text == "" {
		return nil
	}
	return func() (string, error) {
		return h.s.cfg.Login.HTTP(o.Remote, text, r.Method, r.RequestURI)
	}
}
