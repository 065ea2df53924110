package files

import (
	"bytes"
	"crypto/x509"
)

// IsPrivateKey reports whether data are a private key in DER (PKCS #8, PKCS #1 or
// SEC 1), or hold one as PEM has it (RFC 7468), anywhere in them: a line on which
// "-----BEGIN" or "-----END" is followed by "PRIVATE KEY", as in "-----BEGIN EC
// PRIVATE KEY-----". It takes one such line for a key, so that a part of a key is
// one too. A part of a key in DER is not recognized, and one of more than 16 KiB,
// which is longer than RSA keys of 16384 bits, is not looked into: to check it would
// take minutes.
func IsPrivateKey(data []byte) bool { return holdsPEM(data) || isDER(data) }

// isDER reports whether data are a private key in DER, which begins with a sequence.
func isDER(data []byte) bool {
	const sequence, longest = 0x30, 16 << 10
	if len(data) == 0 || len(data) > longest || data[0] != sequence {
		return false
	}
	if _, err := x509.ParsePKCS8PrivateKey(data); err == nil {
		return true
	}
	if _, err := x509.ParseECPrivateKey(data); err == nil {
		return true
	}
	_, err := x509.ParsePKCS1PrivateKey(data)
	return err == nil
}

// holdsPEM reports whether there is a line of PEM that belongs to a private key.
func holdsPEM(data []byte) bool {
	for line := range bytes.Lines(data) {
		for _, mark := range []string{"-----BEGIN", "-----END"} {
			if at := bytes.Index(line, []byte(mark)); at >= 0 && bytes.Contains(line[at+len(mark):], []byte("PRIVATE KEY")) {
				return true
			}
		}
	}
	return false
}
