package access

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// ErrChallenge is returned for a challenge that is none, or none that can be
// answered.
var ErrChallenge = errors.New("access: the challenge for a login cannot be read")

// AnswerFrame is the client's side of a login in a frame: from the message of an
// error 401, which is JSON text, it makes the member auth of the frame that is sent
// again, with the same id.
func AnswerFrame(challenge, user, password string) (auth []byte, err error) {
	doc := []byte(challenge)
	realm, ok := mjson.Find(doc, "$.realm").Text()
	nonce, isInt := mjson.Find(doc, "$.nonce").Int()
	name, _ := mjson.Find(doc, "$.algorithm").Text()
	a, known := algorithmOf(name)
	if !ok || !isInt || !known {
		return nil, ErrChallenge
	}
	cnonce := clientNonce()
	response := a.response(a.hash(user, realm, password), strconv.FormatInt(nonce, 10), frameCount,
		strconv.FormatInt(cnonce, 10), frameMethod, frameURI)
	return mjson.Appendf(nil, `{"realm":%Q,"username":%Q,"nonce":%ld,"cnonce":%ld,"algorithm":%Q,"response":%Q}`,
		realm, user, nonce, cnonce, a.String(), response)
}

// AnswerHTTP is the client's side of a login by HTTP: from the value of
// WWW-Authenticate it makes that of Authorization, for one request with a method and
// a URI as it stands in the request line.
func AnswerHTTP(challenge, user, password, method, uri string) (authorization string, err error) {
	p, ok := parseDigest(challenge)
	a, known := algorithmOf(p["algorithm"])
	if !ok || !known || p["nonce"] == "" || p["qop"] != "auth" {
		return "", ErrChallenge
	}
	const nc = "00000001"
	cnonce := strconv.FormatInt(clientNonce(), 10)
	response := a.response(a.hash(user, p["realm"], password), p["nonce"], nc, cnonce, method, uri)
	return "Digest username=" + quote(user) + ", realm=" + quote(p["realm"]) + ", uri=" + quote(uri) + ", algorithm=" + a.String() +
		", nonce=" + quote(p["nonce"]) + ", nc=" + nc + ", cnonce=" + quote(cnonce) + ", qop=auth, response=" + quote(response), nil
}

// clientNonce returns a random number in [1, 2^32).
func clientNonce() int64 {
	var random [4]byte
	rand.Read(random[:])
	return max(1, int64(binary.BigEndian.Uint32(random[:])))
}
