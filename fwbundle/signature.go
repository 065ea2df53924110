package fwbundle

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Slots is the number of signatures of each kind that a bundle can carry.
const Slots = 8

// Keys are those that signatures are verified with: signature N with the key in
// slot N. A slot that is nil has none.
type Keys struct {
	ECDSA   [Slots]*ecdsa.PublicKey  // P-256, for sig0 to sig7: bits 0 to 7
	Ed25519 [Slots]ed25519.PublicKey // for ed0 to ed7: bits 8 to 15
}

// Signers make signatures: the one in slot N makes signature N. A slot that is nil
// makes none.
type Signers struct {
	ECDSA   [Slots]crypto.Signer // with P-256 keys
	Ed25519 [Slots]crypto.Signer
}

// parseRecord reads the extra record of the manifest: a JSON object.
func parseRecord(record []byte) ([]Attr, error) {
	if record == nil {
		return nil, nil
	}
	if err := checkJSON(record); err != nil {
		return nil, refuse(StageSignature, ManifestName, "extra record 0x293a: %w", err)
	}
	var attrs []Attr
	for name, value := range members(record) {
		attrs = append(attrs, Attr{name, value})
	}
	return attrs, nil
}

// verify returns which signatures are good, as a set of bits.
func (k *Keys) verify(extra []Attr, text []byte) (good int) {
	digest := sha256.Sum256(text)
	for i, key := range k.ECDSA {
		if sig := signature(extra, "sig", i); sig != nil && key != nil && ecdsa.VerifyASN1(key, digest[:], sig) {
			good |= 1 << i
		}
	}
	for i, key := range k.Ed25519 {
		if sig := signature(extra, "ed", i); sig != nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, text, sig) {
			good |= 1 << (Slots + i)
		}
	}
	return good
}

// signature returns the bytes of one of the signatures; nil if there is none.
func signature(extra []Attr, kind string, slot int) []byte {
	text, is := mjson.Value{Raw: Attribute(extra, kind+strconv.Itoa(slot))}.Text()
	sig, err := base64.StdEncoding.Strict().DecodeString(text)
	if !is || err != nil || len(sig) == 0 {
		return nil
	}
	return sig
}

// record returns the content of the extra record: the attributes given, and the
// signatures over a manifest, which replace given ones; nil if there is nothing.
func (s *Signers) record(extra []Attr, text []byte) ([]byte, error) {
	extra = slices.Clone(extra)
	digest := sha256.Sum256(text)
	for i := range Slots {
		for _, k := range []struct {
			kind   string
			signer crypto.Signer
			input  []byte
			hash   crypto.Hash
		}{{"sig", s.ECDSA[i], digest[:], crypto.SHA256}, {"ed", s.Ed25519[i], text, 0}} {
			if k.signer == nil {
				continue
			}
			name := k.kind + strconv.Itoa(i)
			if err := checkSigner(k.signer, k.hash); err != nil {
				return nil, fmt.Errorf("fwbundle: %s: %w", name, err)
			}
			random := rand.Reader
			if _, is := k.signer.(*ecdsa.PrivateKey); is {
				random = nil // a deterministic signature, RFC 6979
			}
			sig, err := k.signer.Sign(random, k.input, k.hash)
			if err != nil {
				return nil, fmt.Errorf("fwbundle: %s: %w", name, err)
			}
			value, _ := json.Marshal(base64.StdEncoding.EncodeToString(sig))
			extra = replace(extra, Attr{name, value})
		}
	}
	if len(extra) == 0 {
		return nil, nil
	}
	record := encodeAttrs(sorted(extra, func(Attr) int { return 0 }))
	if len(record) > maxRecord {
		return nil, fmt.Errorf("fwbundle: the extra attributes have %d bytes, more than %d", len(record), maxRecord)
	}
	return record, nil
}

// checkSigner refuses keys of the wrong kind; the hash is 0 for Ed25519.
func checkSigner(s crypto.Signer, hash crypto.Hash) error {
	switch key := s.Public().(type) {
	case *ecdsa.PublicKey:
		if hash == crypto.SHA256 && isP256(key) {
			return nil
		}
	case ed25519.PublicKey:
		if hash == 0 {
			return nil
		}
	}
	return errors.New("the key is of the wrong kind")
}
