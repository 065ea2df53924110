package fwbundle

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
)

// ParsePublicKey reads a key as the configuration members update.key0 to
// update.key7 hold it: base64 of the SubjectPublicKeyInfo of an ECDSA P-256 key in
// DER, which is PEM without its armour and line ends.
func ParsePublicKey(text string) (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("fwbundle: the public key is not base64")
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if pub, is := key.(*ecdsa.PublicKey); err == nil && is && isP256(pub) {
		return pub, nil
	}
	return nil, errors.New("fwbundle: not an ECDSA P-256 public key")
}

// ParseEd25519Key reads a key as the configuration members update.ed_key0 to
// update.ed_key7 hold it: base64 of its 32 bytes.
func ParseEd25519Key(text string) (ed25519.PublicKey, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, errors.New("fwbundle: the Ed25519 key is not base64 of 32 bytes")
	}
	return key, nil
}

// ParsePrivateKey reads a key to sign with: PEM of type EC PRIVATE KEY (what
// `openssl ecparam -name prime256v1 -genkey` makes) or PRIVATE KEY (PKCS#8; ECDSA
// P-256 or Ed25519). Encrypted keys must be decrypted first, as `openssl pkey`
// does.
func ParsePrivateKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
			return nil, errors.New("fwbundle: the private key is encrypted: decrypt it with openssl pkey")
		case block.Type == "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case block.Type == "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default: // such as EC PARAMETERS
			continue
		}
		switch key := key.(type) {
		case *ecdsa.PrivateKey:
			if err == nil && isP256(&key.PublicKey) {
				return key, nil
			}
		case ed25519.PrivateKey:
			if err == nil {
				return key, nil
			}
		}
		return nil, errors.New("fwbundle: the private key is neither ECDSA P-256 nor Ed25519")
	}
	return nil, errors.New("fwbundle: no private key in the PEM text")
}

func isP256(key *ecdsa.PublicKey) bool { return key.Curve == elliptic.P256() }
