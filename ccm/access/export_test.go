package access

import "time"

// Hand puts a nonce among those that were handed out.
func (l *Login) Hand(n int64) {
	l.nonces.mu.Lock()
	defer l.nonces.mu.Unlock()
	l.nonces.all = append(l.nonces.all, nonce{n: n, made: time.Now()})
}

// Outstanding returns how many nonces there are.
func (l *Login) Outstanding() int {
	l.nonces.mu.Lock()
	defer l.nonces.mu.Unlock()
	return len(l.nonces.all)
}

// Remotes returns how many addresses are remembered.
func (l *Login) Remotes() int { return max(len(l.failures.table), len(l.lockouts.table)) }

// Remotes returns how many addresses are remembered.
func (g *Gate) Remotes() int { return max(len(g.pace.table), len(g.saves.table)) }

// Hash returns the MD5 hash of the parts with colons between them.
func Hash(parts ...string) string { return MD5.hash(parts...) }

// HeaderUser returns the user that an Authorization header of up to 1 KiB names.
func HeaderUser(header string) string {
	p, _ := parseDigest(header)
	return p["username"]
}

// ParseRules reads the text of rules.
func ParseRules(text []byte) (n int, err error) {
	set, err := parseRules(text)
	return len(set), err
}
