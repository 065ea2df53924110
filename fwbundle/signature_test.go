package fwbundle_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
)

func edKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// sign returns a bundle with signatures.
func sign(t testing.TB, s fwbundle.Signers) *fwbundle.Bundle {
	t.Helper()
	b, err := open(goodArchive().bytes())
	if err != nil {
		t.Fatal(err)
	}
	return resign(t, b, s)
}

func resign(t testing.TB, b *fwbundle.Bundle, s fwbundle.Signers) *fwbundle.Bundle {
	t.Helper()
	var out bytes.Buffer
	if _, err := b.Sign(&out, s); err != nil {
		t.Fatal(err)
	}
	b, err := open(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSignatureMask: which signatures a mask asks for.
func TestSignatureMask(t *testing.T) {
	var s fwbundle.Signers
	var k fwbundle.Keys
	s.ECDSA[0], s.ECDSA[2], s.ECDSA[3] = testKey(1), testKey(3), testKey(9)
	s.Ed25519[0], s.Ed25519[7], s.Ed25519[5] = edKey(1), edKey(8), edKey(9)
	for i := range fwbundle.Slots { // signatures 3 and ed5 are of other keys; the other slots have none
		k.ECDSA[i] = &testKey(byte(i + 1)).PublicKey
		k.Ed25519[i] = edKey(byte(i + 1)).Public().(ed25519.PublicKey)
	}
	b := sign(t, s)
	const good = 1<<0 | 1<<2 | 1<<8 | 1<<15
	if got := b.Verify(k); got != good {
		t.Errorf("good: %#x, want %#x", got, good)
	}
	if got := b.Verify(fwbundle.Keys{}); got != 0 {
		t.Errorf("without keys %#x are good", got)
	}
	for mask := range 1 << 16 {
		if mask%397 != 0 && mask&(mask-1) != 0 && mask != good {
			continue // a sample, all single bits
		}
		err := b.Check(fwbundle.Policy{SigReqMask: &mask, Keys: k})
		switch {
		case mask == 0:
			if !errors.Is(err, fwbundle.ErrLocked) || stageOf(t, err) != fwbundle.StageSignature {
				t.Errorf("mask 0: %v", err)
			}
		case mask&^good == 0:
			if err != nil {
				t.Errorf("mask %#x: %v", mask, err)
			}
		case !errors.Is(err, fwbundle.ErrSignature) || stageOf(t, err) != fwbundle.StageSignature:
			t.Errorf("mask %#x: %v", mask, err)
		}
	}
	for mask, want := range map[int]bool{-1: true, -5: true, 1 << 16: false, 1<<16 | 1: false} {
		if err := b.Check(fwbundle.Policy{SigReqMask: &mask, Keys: k}); (err == nil) != want {
			t.Errorf("mask %d: %v", mask, err)
		}
	}
}

// TestSignKeepsSignatures: signatures are added to those that are there, and other
// attributes stay.
func TestSignKeepsSignatures(t *testing.T) {
	z := goodArchive()
	z.entries[0].extra = append([]byte{0x3a, 0x29, 12, 0}, `{"note":"a"}`...)
	z.add(zipEntry{name: "doc/README", data: []byte("read me"), deflate: true})
	b, err := open(z.bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		var s fwbundle.Signers
		s.ECDSA[i] = testKey(byte(i + 1))
		b = resign(t, b, s)
	}
	var s fwbundle.Signers
	s.ECDSA[1] = testKey(7)
	b = resign(t, b, s)
	var k fwbundle.Keys
	k.ECDSA[0], k.ECDSA[1], k.ECDSA[2] = &testKey(1).PublicKey, &testKey(7).PublicKey, &testKey(3).PublicKey
	if got := b.Verify(k); got != 7 {
		t.Errorf("good: %#x", got)
	}
	if note := fwbundle.Attribute(b.Extra(), "note"); string(note) != `"a"` || len(b.Extra()) != 4 {
		t.Errorf("extra %s", b.Extra())
	}
	if e := b.Entries(); len(e) != 3 || e[2].Name != "doc/README" || !e[2].Compressed {
		t.Errorf("entries %v", e)
	}
	if !bytes.Equal(b.Manifest().Text(), z.entries[0].data) {
		t.Error("the manifest has changed")
	}
}

// TestSignedParts: what is signed is bound by cs_sha256; cs_sha1 alone will not do.
func TestSignedParts(t *testing.T) {
	text := part(`"src":"FW.BIN","addr":134217728`) // with cs_sha1
	z := goodArchive()
	z.entries[0].data = []byte(text)
	b, err := open(z.bytes())
	if err != nil {
		t.Fatal(err)
	}
	var s fwbundle.Signers
	s.ECDSA[0] = testKey(1)
	b = resign(t, b, s)
	p := fwbundle.Policy{SigReqMask: new(1)}
	p.Keys.ECDSA[0] = &testKey(1).PublicKey
	if err := b.Check(p); !errors.Is(err, fwbundle.ErrSignature) {
		t.Errorf("%v", err)
	}
	p.SigReqMask = nil
	if err := b.Check(p); err != nil {
		t.Errorf("signatures ignored: %v", err)
	}
}

// TestExtraRecord: what the extra record may be. It is judged whether or not
// signatures are demanded.
func TestExtraRecord(t *testing.T) {
	good := `"sig0":"` + base64.StdEncoding.EncodeToString([]byte("no signature")) + `"`
	for record, ok := range map[string]bool{
		`{}`: true, `{` + good + `}`: true, `{"sig0":"no base64!","sig1":7,"sig9":null}`: true,
		``: false, `[]`: false, `"sig0"`: false, `{` + good + `,` + good + `}`: false,
		`{` + good + `,"\u0073ig0":1}`: false, `{` + good: false, `{` + good + `}}`: false, "{\"a\":\"\xff\"}": false,
	} {
		z := goodArchive()
		z.entries[0].extra = append([]byte{0x3a, 0x29, byte(len(record)), 0}, record...)
		b, err := openAndCheck(z.bytes(), fwbundle.Policy{})
		switch {
		case ok && err != nil:
			t.Errorf("%s: %v", record, err)
		case !ok && (err == nil || stageOf(t, err) != fwbundle.StageSignature):
			t.Errorf("%s: %v", record, err)
		}
		checkAgreement(t, z.bytes(), &fwbundle.Policy{}, b, err)
		p := fwbundle.Policy{SigReqMask: new(1)}
		p.Keys.ECDSA[0] = &testKey(1).PublicKey
		if _, err := openAndCheck(z.bytes(), p); err == nil || stageOf(t, err) != fwbundle.StageSignature {
			t.Errorf("%s, signature demanded: %v", record, err)
		}
	}
}

// TestVectorSignature: the signature that the tool has made is good.
func TestVectorSignature(t *testing.T) {
	b, err := open(vector(t, "fw/signed0.zip"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := fwbundle.ParsePublicKey(strings.TrimSpace(string(vector(t, "fw/k0.pub.b64"))))
	if err != nil {
		t.Fatal(err)
	}
	p := fwbundle.Policy{SigReqMask: new(1)}
	p.Keys.ECDSA[0] = key
	if err := b.Check(p); err != nil {
		t.Error(err)
	}
	p.Keys.ECDSA[0], p.Keys.ECDSA[1] = nil, key // in another slot
	if err := b.Check(p); !errors.Is(err, fwbundle.ErrSignature) {
		t.Errorf("key in another slot: %v", err)
	}
}

// TestKeys: only keys of the right kind are read.
func TestKeys(t *testing.T) {
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	encode := func(key crypto.Signer) (public string, sec1, pkcs8 []byte) {
		spki, _ := x509.MarshalPKIXPublicKey(key.Public())
		der, _ := x509.MarshalPKCS8PrivateKey(key)
		pkcs8 = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if ec, is := key.(*ecdsa.PrivateKey); is {
			der, _ = x509.MarshalECPrivateKey(ec)
			sec1 = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
		}
		return base64.StdEncoding.EncodeToString(spki), sec1, pkcs8
	}
	good, sec1, pkcs8 := encode(testKey(1))
	if key, err := fwbundle.ParsePublicKey(good); err != nil || !key.Equal(testKey(1).Public()) {
		t.Errorf("public key: %v", err)
	}
	params := []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n")
	for _, text := range [][]byte{sec1, pkcs8, append(params, sec1...)} {
		if key, err := fwbundle.ParsePrivateKey(text); err != nil || !testKey(1).Equal(key) {
			t.Errorf("private key: %v", err)
		}
	}
	edPublic, _, edPrivate := encode(edKey(1))
	if key, err := fwbundle.ParsePrivateKey(edPrivate); err != nil || !edKey(1).Equal(key) {
		t.Errorf("Ed25519 private key: %v", err)
	}
	otherPublic, otherSEC1, otherPKCS8 := encode(p384)
	for _, text := range []string{"", "!", "AAAA", good[4:], good + "AAAA", edPublic, otherPublic} {
		if _, err := fwbundle.ParsePublicKey(text); err == nil {
			t.Errorf("public key %q is accepted", text)
		}
	}
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}})
	for _, text := range [][]byte{nil, []byte("x"), params, otherSEC1, otherPKCS8, locked, sec1[:60]} {
		if _, err := fwbundle.ParsePrivateKey(text); err == nil {
			t.Errorf("private key %q is accepted", text)
		}
	}
	raw := edKey(1).Public().(ed25519.PublicKey)
	if key, err := fwbundle.ParseEd25519Key(base64.StdEncoding.EncodeToString(raw)); err != nil || !key.Equal(raw) {
		t.Errorf("Ed25519 key: %v", err)
	}
	for _, text := range []string{"", "x", base64.StdEncoding.EncodeToString(raw[1:])} {
		if _, err := fwbundle.ParseEd25519Key(text); err == nil {
			t.Errorf("Ed25519 key %q is accepted", text)
		}
	}
	b, err := open(goodArchive().bytes())
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]fwbundle.Signers{
		"Ed25519 for sig1": {ECDSA: [8]crypto.Signer{1: edKey(1)}},
		"P-384":            {ECDSA: [8]crypto.Signer{0: p384}},
		"ECDSA for ed0":    {Ed25519: [8]crypto.Signer{0: testKey(1)}},
	} {
		var out bytes.Buffer
		if n, err := b.Sign(&out, s); err == nil || n != 0 || out.Len() != 0 {
			t.Errorf("%s: %v, %d bytes written", name, err, out.Len())
		}
	}
}
