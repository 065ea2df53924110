package access

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Algorithm is the hash of a digest: the value of rpc.auth_algo.
type Algorithm int

// The algorithms. MD5 is for old tools only.
const (
	MD5    Algorithm = 0
	SHA256 Algorithm = 1
)

// String returns the name that challenges have.
func (a Algorithm) String() string {
	if a == SHA256 {
		return "SHA-256"
	}
	return "MD5"
}

// algorithmOf returns the algorithm that has a name. No name is MD5.
func algorithmOf(name string) (Algorithm, bool) {
	switch name {
	case "", "MD5":
		return MD5, true
	case "SHA-256":
		return SHA256, true
	}
	return 0, false
}

// hash returns the hash of the parts with colons between them, in lower-case hex.
func (a Algorithm) hash(parts ...string) string {
	text := []byte(strings.Join(parts, ":"))
	if a == SHA256 {
		sum := sha256.Sum256(text)
		return hex.EncodeToString(sum[:])
	}
	sum := md5.Sum(text)
	return hex.EncodeToString(sum[:])
}

// The method and the URI that frames stand for (rpc-common, mg_rpc.c).
const (
	frameMethod = "dummy_method"
	frameURI    = "dummy_uri"
	frameCount  = "1" // nc
)

// response computes the response of a digest with qop auth (RFC 7616, section
// 3.4.1).
func (a Algorithm) response(ha1, nonce, nc, cnonce, method, uri string) string {
	return a.hash(ha1, nonce, nc, cnonce, "auth", a.hash(method, uri))
}

// HTDigest returns the line of a file of passwords for a user, with its line end.
// User and realm must not have colons.
func HTDigest(user, realm, password string, a Algorithm) string {
	return user + ":" + realm + ":" + a.hash(user, realm, password) + "\n"
}
