package access_test

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// TestVectorsMos: what the mos tool has answered to a challenge is taken if its
// password was secret.
func TestVectorsMos(t *testing.T) {
	passwords := access.HTDigest("admin", "RPC", "secret", access.MD5)
	for _, file := range vectors.Files(t, "mos/*-auth*.jsonl") {
		lines := vectors.Lines(t, file)
		good, bad := 0, 0
		for _, line := range lines {
			var row struct{ Raw, Dir string }
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatal(err)
			}
			if row.Dir != "mos>dev" {
				continue
			}
			var err error
			if auth := mjson.Find([]byte(row.Raw), "$.auth"); auth.Exists() {
				nonce, _ := mjson.Find(auth.Raw, "$.nonce").Int()
				_, err = login(passwords, "RPC", access.MD5, nonce).Frame("", auth.Raw)
			} else if _, rest, is := strings.Cut(row.Raw, "\r\nAuthorization: "); is {
				header, _, _ := strings.Cut(rest, "\r\n")
				_, err = login(passwords, "RPC", access.MD5, 0x6553f100).HTTP("", header, "POST", "/rpc")
			} else {
				continue
			}
			if err == nil {
				good++
			} else {
				bad++
			}
		}
		t.Logf("%s: %d rows, %d logins taken, %d refused", filepath.Base(file), len(lines), good, bad)
		switch name := filepath.Base(file); {
		case strings.Contains(name, "bad") && (good != 0 || bad == 0),
			!strings.Contains(name, "bad") && !strings.Contains(name, "nocreds") && (good == 0 || bad != 0):
			t.Errorf("%s: %d logins taken, %d refused", name, good, bad)
		}
	}
}
