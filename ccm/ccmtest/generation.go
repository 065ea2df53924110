package ccmtest

import (
	"strconv"
	"strings"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Generation is what the firmware of an [MCU] is built on: one of the four
// generations of the C library mjson that are in the field, or package ccm/host.
type Generation int

// The generations. What sets them apart is in the package documentation.
const (
	Gen2018   Generation = iota // 2018-11-14 to 2019-02-18, which the CCM manual describes
	Gen2019                     // 2019-02-19 to 2020-05-07
	Gen2020                     // 2020-05-08 to version 1.1.1
	GenHead                     // version 1.2.0, of January 2021, and later
	GenModern                   // this library's own host, package ccm/host
)

// Generations lists the stock ones, the oldest first.
func Generations() []Generation { return []Generation{Gen2018, Gen2019, Gen2020, GenHead} }

// String returns "2018", "2019", "2020", "head" or "modern".
func (g Generation) String() string {
	switch g {
	case Gen2018:
		return "2018"
	case Gen2019:
		return "2019"
	case Gen2020:
		return "2020"
	case GenHead:
		return "head"
	case GenModern:
		return "modern"
	}
	return "?"
}

// strict reports whether the library looks at the whole frame before it acts,
// and knows no error responses. The newer ones stop reading where they have
// found what they want.
func (g Generation) strict() bool { return g <= Gen2019 }

// escapesSlash reports whether the library writes / as \/ and reads \/.
func (g Generation) escapesSlash() bool { return g == Gen2018 }

// escapeLetters stand for escapeValues after a backslash in every generation.
const (
	escapeLetters = `"\bfnrt`
	escapeValues  = "\"\\\b\f\n\r\t"
)

// Text returns what a sketch gets for the string that path selects in a JSON
// text, when it reads it with the library's mjson_get_string and prints the
// result: the text up to the first NUL, or up to the first escape that the
// generation does not know. That is every \u before GenHead, which takes \u00XX
// for the byte XX, and \/ after Gen2018. The text is empty if there is no string.
//
// A module must not send such escapes to a host; Text shows what becomes of them.
func (g Generation) Text(json []byte, path string) string {
	v := mjson.Find(json, path)
	if g == GenModern {
		text, _ := v.AppendString(nil)
		return string(text)
	}
	if v.Type() != mjson.String {
		return ""
	}
	var out []byte
	for raw := v.Raw[1 : len(v.Raw)-1]; len(raw) > 0; {
		b, n := g.char(raw)
		if n == 0 || b == 0 {
			break
		}
		out, raw = append(out, b), raw[n:]
	}
	return string(out)
}

// char decodes the first byte of the inside of a string and returns how much of
// it stands for that byte, 0 if the library does not know the escape.
func (g Generation) char(raw []byte) (b byte, n int) {
	switch {
	case raw[0] != '\\':
		return raw[0], 1
	case len(raw) < 2:
		return 0, 0
	}
	if i := strings.IndexByte(escapeLetters, raw[1]); i >= 0 {
		return escapeValues[i], 2
	}
	switch {
	case raw[1] == '/' && g.escapesSlash():
		return '/', 2
	case raw[1] == 'u' && g == GenHead && len(raw) >= 6:
		if v, err := strconv.ParseUint(string(raw[2:6]), 16, 16); err == nil && v <= 0xff {
			return byte(v), 6
		}
	}
	return 0, 0
}

// appendQuoted appends p as the library prints it with %.*Q: unlike package
// mjson it leaves control characters without a short escape as they are.
func (g Generation) appendQuoted(dst, p []byte) []byte {
	dst = append(dst, '"')
	for _, b := range p {
		if i := strings.IndexByte(escapeValues, b); i >= 0 {
			dst = append(dst, '\\', escapeLetters[i])
		} else if b == '/' && g.escapesSlash() {
			dst = append(dst, '\\', '/')
		} else {
			dst = append(dst, b)
		}
	}
	return append(dst, '"')
}
