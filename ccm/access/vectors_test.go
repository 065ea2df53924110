package access_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// digestCase is a case of digest.json.
type digestCase struct {
	Transport, Algorithm, User, Realm, Password, Method, URI, Qop, Response string
	Nonce, NC, Cnonce                                                       any
	Line                                                                    string `json:"htdigest_line"`
}

func (c *digestCase) algorithm() access.Algorithm {
	if c.Algorithm == "SHA-256" {
		return access.SHA256
	}
	return access.MD5
}

// text returns a number or a string.
func text(v any) string {
	if n, is := v.(json.Number); is {
		return n.String()
	}
	return fmt.Sprint(v)
}

// login returns a Login with one line of passwords, that has handed out a nonce.
func login(line, realm string, a access.Algorithm, nonce int64) *access.Login {
	l := access.NewLogin(access.LoginConfig{
		Realm: func() string { return realm }, File: func() ([]byte, error) { return []byte(line), nil }, Algorithm: func() access.Algorithm { return a },
	})
	l.Hand(nonce)
	return l
}

// TestVectorsDigest: the lines of passwords are what they should be, and the
// responses open the door; with any other one it stays shut.
func TestVectorsDigest(t *testing.T) {
	for _, file := range vectors.Files(t, "bad/auth/*.json") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Cases []digestCase }
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&doc); err != nil || len(doc.Cases) == 0 {
			t.Fatalf("%s: %d cases, %v", file, len(doc.Cases), err)
		}
		ran := 0
		for _, c := range doc.Cases {
			t.Run(c.Transport+" "+c.Algorithm+" "+c.User, func(t *testing.T) { checkDigest(t, &c) })
			ran++
		}
		t.Logf("%s: %d of %d rows", filepath.Base(file), ran, len(doc.Cases))
	}
}

func checkDigest(t *testing.T, c *digestCase) {
	if got := access.HTDigest(c.User, c.Realm, c.Password, c.algorithm()); got != c.Line+"\n" {
		t.Errorf("HTDigest: %q, want %q", got, c.Line)
	}
	base := 10
	if c.Transport == "http" {
		base = 16
	}
	nonce, err := strconv.ParseInt(text(c.Nonce), base, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, response := range []string{c.Response, strings.ToUpper(c.Response), c.Response[1:] + "0", strings.Repeat("0", len(c.Response))} {
		l := login(c.Line+"\n", c.Realm, c.algorithm(), nonce)
		var user string
		if c.Transport == "http" {
			header := fmt.Sprintf(`Digest username=%q, realm=%q, uri=%q, algorithm=%s, nonce=%q, nc=%s, cnonce=%q, qop=%s, response=%q`,
				c.User, c.Realm, c.URI, c.Algorithm, text(c.Nonce), text(c.NC), text(c.Cnonce), c.Qop, response)
			user, err = l.HTTP("192.0.2.7:1", header, c.Method, c.URI)
		} else {
			auth := fmt.Sprintf(`{"realm":%q,"username":%q,"nonce":%s,"cnonce":%s,"algorithm":%q,"response":%q}`,
				c.Realm, c.User, text(c.Nonce), text(c.Cnonce), c.Algorithm, response)
			user, err = l.Frame("192.0.2.7:1", []byte(auth))
		}
		if good := response == c.Response; good != (err == nil) || good && user != c.User {
			t.Errorf("response %s: %q, %v", response, user, err)
		}
	}
}

// credentials are what a request of the mos tool has: the nonce that was handed out
// to it, and how it logs in; nil without a login.
func credentials(raw string) (nonce int64, enter func(l *access.Login) (string, error)) {
	if auth := mjson.Find([]byte(raw), "$.auth"); auth.Exists() {
		nonce, _ = mjson.Find(auth.Raw, "$.nonce").Int()
		return nonce, func(l *access.Login) (string, error) { return l.Frame("192.0.2.7:1", auth.Raw) }
	}
	_, rest, is := strings.Cut(raw, "\r\nAuthorization: ")
	if !is {
		return 0, nil
	}
	header, _, _ := strings.Cut(rest, "\r\n")
	method, rest, _ := strings.Cut(raw, " ")
	uri, _, _ := strings.Cut(rest, " ")
	_, rest, _ = strings.Cut(header, `nonce="`)
	hex, _, _ := strings.Cut(rest, `"`)
	nonce, _ = strconv.ParseInt(hex, 16, 64)
	return nonce, func(l *access.Login) (string, error) { return l.HTTP("192.0.2.7:1", header, method, uri) }
}

// TestVectorsMos: what the mos tool has answered to a challenge is taken with the
// password that it was given, and with no other one.
func TestVectorsMos(t *testing.T) {
	for _, file := range vectors.Files(t, "mos/*-auth*.jsonl") {
		lines := vectors.Lines(t, file)
		taken, ran := map[string]int{}, 0
		for _, line := range lines {
			var row struct{ Raw, Dir string }
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatal(err)
			}
			ran++
			nonce, enter := credentials(row.Raw)
			if row.Dir != "mos>dev" || enter == nil {
				continue
			}
			for _, password := range []string{"secret", "wrong", ""} {
				l := login(access.HTDigest("admin", "RPC", password, access.MD5), "RPC", access.MD5, nonce)
				if user, err := enter(l); err == nil && user == "admin" {
					taken[password]++
				} else if code(err) != 401 {
					t.Errorf("%s: %q: %q, %v", filepath.Base(file), password, user, err)
				}
			}
		}
		name := filepath.Base(file)
		t.Logf("%s: %d of %d rows, logins with %v", name, ran, len(lines), taken)
		want := map[string]int{"secret": 1}
		switch {
		case strings.Contains(name, "nocreds"):
			want = nil
		case strings.Contains(name, "bad"):
			want = map[string]int{"wrong": 1}
		}
		if !maps.Equal(taken, want) {
			t.Errorf("%s: logins with %v, want %v", name, taken, want)
		}
	}
}
