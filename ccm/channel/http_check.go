package channel

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// toolOrigin is the Origin that the mos tool sends when it opens a websocket.
const toolOrigin = "https://api.cesanta.com"

// hostAllowed reports whether the Host header is one of ours: a web page whose
// name was pointed at our address (DNS rebinding) has that name there.
func (h *HTTP) hostAllowed(r *http.Request) bool {
	name := hostName(r.Host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	if name == "" {
		return false
	}
	if strings.EqualFold(name, "localhost") || strings.EqualFold(name, h.s.id()) {
		return true
	}
	if h.cfg.Hosts != nil {
		for _, own := range h.cfg.Hosts() {
			if strings.EqualFold(name, own) {
				return true
			}
		}
	}
	return false
}

// hostName returns a Host header without port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	if inner, found := strings.CutPrefix(host, "["); found {
		if inner, found = strings.CutSuffix(inner, "]"); found {
			return inner
		}
	}
	return host
}

// originAllowed reports whether the request is made by a program, or by a web
// page that has come from us.
func originAllowed(r *http.Request, socket bool) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	o := origins[0]
	if socket && strings.TrimSuffix(o, "/") == toolOrigin {
		return true
	}
	u, err := url.Parse(o)
	if err != nil || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || r.TLS != nil) {
		return false
	}
	return strings.EqualFold(u.Host, r.Host)
}

// isJSON reports whether a Content-Type is application/json.
func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// isUpgrade reports whether a request wants to become a websocket.
func isUpgrade(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	for _, v := range r.Header.Values("Upgrade") {
		for token := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "websocket") {
				return true
			}
		}
	}
	return false
}
