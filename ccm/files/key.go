package files

import "bytes"

// IsPrivateKey reports whether data hold a private key as PEM has it (RFC 7468),
// anywhere in them: a line on which "-----BEGIN" or "-----END" is followed by
// "PRIVATE KEY", as in "-----BEGIN EC PRIVATE KEY-----". It takes one such line
// for a key, so that a part of a key is one too. Other forms, DER above all, are
// not recognized.
func IsPrivateKey(data []byte) bool {
	for line := range bytes.Lines(data) {
		for _, mark := range []string{"-----BEGIN", "-----END"} {
			if at := bytes.Index(line, []byte(mark)); at >= 0 && bytes.Contains(line[at+len(mark):], []byte("PRIVATE KEY")) {
				return true
			}
		}
	}
	return false
}
