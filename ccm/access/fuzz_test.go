package access_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/access"
)

func FuzzFrameLogin(f *testing.F) {
	f.Add([]byte(`{"realm":"RPC","username":"admin","nonce":1700000000,"cnonce":3042011586,"algorithm":"MD5","response":"0bf0db04d79aa798ca7922b5568c4c96"}`))
	f.Add([]byte(`{"nonce":1e400,"cnonce":-1}`))
	f.Fuzz(func(t *testing.T, auth []byte) {
		l := house(access.MD5)
		for range 2 {
			if user, err := l.Frame("a", auth); err == nil || user != "" || code(err) < 400 {
				t.Errorf("%q, %v", user, err) // no nonce was handed out
			}
		}
	})
}

func FuzzHTTPLogin(f *testing.F) {
	l := house(access.SHA256)
	header, _ := access.AnswerHTTP(l.HTTPChallenge(), "admin", "secret", "POST", "/rpc")
	f.Add(header)
	f.Add(`Digest username="a\"b", realm=RPC,,nc=00000001`)
	f.Fuzz(func(t *testing.T, header string) {
		if user, err := house(access.SHA256).HTTP("a", header, "POST", "/rpc"); err == nil || user != "" || code(err) < 400 {
			t.Errorf("%q, %v", user, err)
		}
	})
}

func FuzzRules(f *testing.F) {
	f.Add([]byte(`[{"method":"Sys.*","acl":"*"},{"ch_type":"HTTP","acl":"+admin,-*"}]`))
	f.Add([]byte(strings.Repeat(`[{"a":`, 20)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, err := access.ParseRules(text); n > 256 || n > 0 && err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func FuzzPasswords(f *testing.F) {
	f.Add([]byte(access.HTDigest("admin", "RPC", "secret", access.MD5)), "admin")
	f.Add([]byte("a:b\n:::\n"), "")
	f.Fuzz(func(t *testing.T, file []byte, user string) {
		l := access.NewLogin(access.LoginConfig{File: func() ([]byte, error) { return file, nil }, Algorithm: func() access.Algorithm { return access.MD5 }})
		auth, err := access.AnswerFrame(l.FrameChallenge(), user, "secret")
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.Frame("a", auth)
		line := strings.TrimSuffix(access.HTDigest(user, "RPC", "secret", access.MD5), "\n")
		if err == nil && (got != user || !strings.Contains(string(file), line)) {
			t.Errorf("%q is let in", user)
		}
	})
}

// What a server says in its challenge is answered or refused, and a reader of JSON
// or of the header takes the answer.
func FuzzAnswer(f *testing.F) {
	l := house(access.SHA256)
	f.Add(l.FrameChallenge(), "admin")
	f.Add(l.HTTPChallenge(), `a"b\`)
	f.Add(`Digest realm="a\"", nonce=x, qop=auth`, "")
	f.Fuzz(func(t *testing.T, challenge, user string) {
		auth, err := access.AnswerFrame(challenge, user, "secret")
		if err == nil && !json.Valid(auth) {
			t.Errorf("%q", auth)
		}
		header, err := access.AnswerHTTP(challenge, user, "secret", "POST", "/rpc")
		if err == nil && len(header) <= 1<<10 && access.HeaderUser(header) != user {
			t.Errorf("%q", header)
		}
	})
}
