package files_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/files"
)

// ecKey has the form of a private key and is none.
const ecKey = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIA==\n-----END EC PRIVATE KEY-----\n"

const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

func TestIsPrivateKey(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"", false},
		{"PRIVATE KEY", false},
		{certificate, false},
		{"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n", false},
		{"-----BEGIN\nPRIVATE KEY-----", false},
		{"PRIVATE KEY -----BEGIN CERTIFICATE-----", false},
		{certificate + "about a PRIVATE KEY\n", false},
		{ecKey, true},
		{strings.ReplaceAll(ecKey, "EC ", ""), true},
		{strings.ReplaceAll(ecKey, "EC", "RSA"), true},
		{strings.ReplaceAll(ecKey, "EC", "ENCRYPTED"), true},
		{strings.ReplaceAll(ecKey, "EC", "OPENSSH"), true},
		{"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", true},
		{strings.ReplaceAll(ecKey, "\n", "\r\n"), true},
		{strings.ReplaceAll(ecKey, "\n", "\r"), true},
		{`{"key":"` + strings.ReplaceAll(ecKey, "\n", `\n`) + `"}`, true},
		{certificate + ecKey, true},
		{ecKey + certificate, true},
		{"Bag Attributes\n  friendlyName: x\n" + ecKey, true},
		{"  " + ecKey, true},
		{kb(200, "long\n") + ecKey + kb(50, "\x00"), true},
		{kb(200, "long") + ecKey, true},
		{ecKey[:30], true},                               // the first chunk of it
		{ecKey[strings.Index(ecKey, "-----END"):], true}, // the last
		{kb(20, "-----BEGIN"), false},
	} {
		if got := files.IsPrivateKey([]byte(c.text)); got != c.want {
			t.Errorf("%.60q (%d bytes): %v", c.text, len(c.text), got)
		}
	}
}

// TestIsPrivateKeyReal asks about keys as package x509 makes them.
func TestIsPrivateKeyReal(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err1 := x509.MarshalECPrivateKey(key)
	pkcs8, err2 := x509.MarshalPKCS8PrivateKey(key)
	public, err3 := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		block pem.Block
		want  bool
	}{
		{pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}, true},
		{pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES"}, Bytes: sec1}, true},
		{pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}, true},
		{pem.Block{Type: "PUBLIC KEY", Bytes: public}, false},
	} {
		if got := files.IsPrivateKey(pem.EncodeToMemory(&c.block)); got != c.want {
			t.Errorf("%s: %v", c.block.Type, got)
		}
		if got := files.IsPrivateKey(c.block.Bytes); got != c.want {
			t.Errorf("%s in DER: %v", c.block.Type, got)
		}
	}
}

// TestUnmaskDER does that to a key in DER, which is stored in chunks all the same.
func TestUnmaskDER(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der := string(x509.MarshalPKCS1PrivateKey(key))
	d := open(t, nil)
	for at := 0; at < len(der); at += 512 {
		put(t, d, "k.der", der[at:min(at+512, len(der))], files.PutMode{Append: true, HasOffset: true, Offset: at})
	}
	if err := d.Put("k.der", []byte("x"), files.PutMode{HasOffset: true, Offset: 5}); !errors.Is(err, files.ErrPrivateKey) {
		t.Errorf("%v", err)
	}
	put(t, d, "k.der", "", whole)
}

// TestUnmask tries to write over what tells that a file is a private key. It stays
// one until it is replaced.
func TestUnmask(t *testing.T) {
	d := open(t, nil)
	put(t, d, "k", ecKey, whole)
	blank := strings.Repeat("x", len(ecKey))
	put(t, d, "k", blank[:10], at(3)) // the last line tells still
	for _, mode := range []files.PutMode{at(1), {HasOffset: true, Offset: 1}, at(len(ecKey) - 20)} {
		if err := d.Put("k", []byte(blank), mode); !errors.Is(err, files.ErrPrivateKey) {
			t.Errorf("%+v: %v", mode, err)
		}
	}
	// With another key behind it, the first can be spoilt, but not that one too.
	put(t, d, "k", ecKey, add)
	put(t, d, "k", blank[1:], at(1))
	if err := d.Put("k", []byte(blank), at(len(ecKey))); !errors.Is(err, files.ErrPrivateKey) {
		t.Error(err)
	}
	if err := d.Rename("k", "l"); err != nil {
		t.Fatal(err)
	}
	if data, err := d.Read("l"); err != nil || !files.IsPrivateKey(data) {
		t.Errorf("%q, %v", data, err)
	}
	put(t, d, "l", certificate, at(0))
	put(t, d, "l", blank, at(1))
}

// TestUnmaskEveryPlace writes over every place of a file that has been a key.
func TestUnmaskEveryPlace(t *testing.T) {
	text := "# a key\n" + ecKey
	refused := 0
	for length := 1; length <= len(text); length += 7 {
		for offset := 1; offset <= min(len(text), len(text)+3-length); offset++ {
			d := open(t, nil)
			put(t, d, "k", text, whole)
			if err := d.Put("k", []byte(strings.Repeat("\n", length)), at(offset)); errors.Is(err, files.ErrPrivateKey) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
			if data, err := d.Read("k"); err != nil || !files.IsPrivateKey(data) {
				t.Errorf("%d bytes at %d: %q, %v", length, offset, data, err)
			}
		}
	}
	if refused < 10 {
		t.Errorf("%d refused", refused)
	}
}

// TestIsPrivateKeyPadded: a key of more than 16 KiB, which only who makes one up has,
// is not looked into.
func TestIsPrivateKeyPadded(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]bool{1 << 10: true, 16000: true, 17000: false} {
		attributes := asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: make([]byte, size)}
		long, err := asn1.Marshal(append(parts[:3:3], attributes))
		if err != nil {
			t.Fatal(err)
		}
		if got := files.IsPrivateKey(long); got != want {
			t.Errorf("%d bytes: %v", len(long), got)
		}
	}
}
