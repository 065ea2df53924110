package fwbundle_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"math/rand/v2"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
)

// testKey is a P-256 key that is always the same.
func testKey(seed byte) *ecdsa.PrivateKey {
	secret := bytes.Repeat([]byte{seed}, 32)
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
	if err != nil {
		panic(err)
	}
	return key
}

// signedBundle returns a signed bundle of 1.5 KiB and a policy that demands the
// signature.
func signedBundle(t testing.TB, compress bool) ([]byte, fwbundle.Policy) {
	t.Helper()
	d := fwbundle.Draft{Name: "fw", Platform: "ccm_host", Version: "1.2.3", Compress: compress}
	d.Signers.ECDSA[0] = testKey(1)
	part := fwbundle.Part{Name: "host_fw", Type: "STM32", Src: "fw.bin", Addr: 0x08000000}
	if err := d.AddPart(part, goodFirmware[:720]); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := d.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	p := fwbundle.Policy{SigReqMask: new(1)}
	p.Keys.ECDSA[0] = &testKey(1).PublicKey
	return out.Bytes(), p
}

// TestCorrupt (H2): of a signed bundle, no truncation and no changed byte gives
// other content than the original: neither Open with Check nor a Stream accepts
// one with another manifest or other firmware.
func TestCorrupt(t *testing.T) {
	for _, compress := range []bool{false, true} {
		if compress && heavy(10) < 10 {
			continue
		}
		data, policy := signedBundle(t, compress)
		original, err := openAndCheck(data, policy)
		if err != nil {
			t.Fatal(err)
		}
		if !compress && (len(data) < 1400 || len(data) > 1700) {
			t.Errorf("the bundle has %d bytes", len(data))
		}
		want := content(t, original)["host_fw"]
		inputs, accepted, streamAccepted := 0, 0, 0
		try := func(damaged []byte, what string, at int) {
			inputs++
			if b, err := openAndCheck(damaged, policy); err == nil {
				accepted++
				image, err := b.Image(policy)
				if err != nil || len(image) != 1 || image[0].Addr != 0x08000000 || !bytes.Equal(image[0].Data, want) ||
					!bytes.Equal(b.Manifest().Text(), original.Manifest().Text()) {
					t.Errorf("%s %d: Open accepts other content", what, at)
				}
			}
			if out, err := stream(damaged, &policy, 300); err == nil {
				streamAccepted++
				if !bytes.Equal(out.parts["host_fw"], want) || !bytes.Equal(out.manifest.Text(), original.Manifest().Text()) {
					t.Errorf("%s %d: a stream accepts other content", what, at)
				}
			}
		}
		for n := range data {
			try(data[:n], "the first bytes,", n)
		}
		r := rand.New(rand.NewPCG(1, 2))
		for i := range data {
			for _, x := range []byte{1 << r.IntN(8), 0xff, byte(1 + r.IntN(255))} {
				damaged := bytes.Clone(data)
				damaged[i] ^= x
				try(damaged, "a changed byte at", i)
			}
		}
		t.Logf("compressed %v, %d bytes: %d inputs; %d accepted by Open, %d by a stream, all with the original content",
			compress, len(data), inputs, accepted, streamAccepted)
	}
}
