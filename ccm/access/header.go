package access

import (
	"strconv"
	"strings"
)

// parseHTTPLogin reads an Authorization header (RFC 7616, section 3.4).
func parseHTTPLogin(header string) (c *claim, ok bool) {
	p, ok := parseDigest(header)
	if !ok {
		return nil, false
	}
	c = &claim{
		user: p["username"], realm: p["realm"], algorithm: p["algorithm"], nonceText: p["nonce"],
		nc: p["nc"], cnonce: p["cnonce"], response: p["response"], uri: p["uri"],
	}
	var err error
	if c.nonce, err = strconv.ParseInt(c.nonceText, 16, 64); err != nil || c.nonce <= 0 || nonceText(c.nonce) != c.nonceText {
		return nil, false
	}
	if c.count, err = strconv.ParseUint(c.nc, 16, 32); err != nil || c.count == 0 || len(c.nc) != 8 {
		return nil, false
	}
	return c, c.user != "" && c.realm != "" && c.cnonce != "" && c.response != "" && p["qop"] == "auth"
}

// parseDigest reads "Digest", and names with values behind it: tokens or quoted
// strings, with commas between them (RFC 9110, section 11.4). A name must not stand
// twice.
func parseDigest(text string) (params map[string]string, ok bool) {
	scheme, rest, _ := strings.Cut(text, " ")
	if len(text) > maxLoginText || !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	params = map[string]string{}
	for rest = strings.TrimLeft(rest, " \t"); rest != ""; {
		name, after, is := strings.Cut(rest, "=")
		if name = strings.ToLower(strings.TrimSpace(name)); !is || name == "" {
			return nil, false
		}
		value, tail, good := cutValue(strings.TrimLeft(after, " \t"))
		if _, twice := params[name]; !good || twice {
			return nil, false
		}
		params[name] = value
		rest = strings.TrimLeft(tail, " \t")
		switch {
		case rest == "":
		case rest[0] != ',':
			return nil, false
		default:
			rest = strings.TrimLeft(rest[1:], " \t,")
		}
	}
	return params, true
}

// cutValue takes a value off the front.
func cutValue(text string) (value, rest string, ok bool) {
	if text == "" || text[0] != '"' {
		end := strings.IndexAny(text, ", \t\"")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], end > 0
	}
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return out.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
		}
		out.WriteByte(text[i])
	}
	return "", "", false
}

// quote returns a quoted string.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
