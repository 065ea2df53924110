package config

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// Encrypted values (spec/security.md 6): $enc1$KID$B64, where KID are the first 8
// hex digits of the SHA-256 of the data key, and B64 is base64 without padding of
// nonce, ciphertext and tag of AES-256-GCM. The additional data bind a value to its
// key and its device: "ccm-conf-v1" 00 key 00 device.id.
const (
	sealedPrefix = "$enc1$"
	sealedAAD    = "ccm-conf-v1"
	dataKeyInfo  = "ccm config v1"
	keyIDLen     = 8
)

var (
	errOtherKey  = errors.New("encrypted with another key")
	errTampered  = errors.New("damaged, or encrypted for another key or device")
	errSealed    = errors.New("encrypted, and there is no root key")
	sealEncoding = base64.RawStdEncoding.Strict()
)

// shortestCode is the length of B64 for a value of no bytes.
var shortestCode = sealEncoding.EncodedLen(12 + 16)

// looksSealed reports whether a text is an encrypted value, or was one before one byte
// of the file was damaged: it must not pass for a password then. A byte that becomes
// a backslash takes the next one with it, so what is left is either all of the text
// but its head or, of the head, all but its last sign.
func looksSealed(text string) bool {
	if strings.HasPrefix(text, sealedPrefix) {
		return true
	}
	at := strings.LastIndexByte(text, '$')
	if at < keyIDLen-1 || len(text)-at-1 < shortestCode {
		return false
	}
	kid, code := text[max(0, at-keyIDLen):at], text[at+1:]
	return strings.HasPrefix(text, sealedPrefix[:len(sealedPrefix)-1]) ||
		len(kid) == keyIDLen && strings.Trim(kid, "0123456789abcdef") == "" && strings.Trim(code, base64Digits) == ""
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// sealer encrypts and decrypts values. It is safe for concurrent use.
type sealer struct {
	aead   cipher.AEAD
	prefix string // $enc1$KID$
}

// newSealer returns the sealer of the root key that a provider gives, or nil if it
// has none.
func newSealer(ctx context.Context, p RootKeyProvider) (*sealer, error) {
	if p == nil {
		return nil, nil
	}
	root, err := p.RootKey(ctx)
	if errors.Is(err, ErrNoRootKey) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := hkdf.Key(sha256.New, root[:], nil, dataKeyInfo, 32)
	clear(root[:])
	if err != nil {
		return nil, err
	}
	defer clear(data)
	block, err := aes.NewCipher(data)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return &sealer{aead: aead, prefix: sealedPrefix + hex.EncodeToString(sum[:])[:keyIDLen] + "$"}, nil
}

// associated returns the additional data of a value.
func associated(key, id string) []byte { return []byte(sealedAAD + "\x00" + key + "\x00" + id) }

// seal encrypts the value of a key, with a fresh nonce.
func (s *sealer) seal(key, id, value string) string {
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(value)+s.aead.Overhead())
	rand.Read(nonce)
	return s.prefix + sealEncoding.EncodeToString(s.aead.Seal(nonce, nonce, []byte(value), associated(key, id)))
}

// open decrypts the value of a key. A nil sealer has no key.
func (s *sealer) open(key, id, text string) (string, error) {
	if s == nil {
		return "", errSealed
	}
	code, ours := strings.CutPrefix(text, s.prefix)
	if !ours {
		return "", errOtherKey
	}
	data, err := sealEncoding.DecodeString(code)
	if err != nil || len(data) < s.aead.NonceSize() || strings.ContainsAny(code, "\r\n") {
		return "", errTampered
	}
	nonce, data := data[:s.aead.NonceSize()], data[s.aead.NonceSize():]
	value, err := s.aead.Open(nil, nonce, data, associated(key, id))
	if err != nil {
		return "", errTampered
	}
	return string(value), nil
}
