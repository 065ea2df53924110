package access

import (
	"bytes"
	"crypto/subtle"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Limits of logins (spec/security.md 3.2).
const (
	maxFailures  = 5 // of an address within failureTime
	failureTime  = time.Minute
	lockoutTime  = time.Minute
	maxFile      = 8 << 10 // bytes of a file of passwords
	maxUsers     = 64      // lines of it
	maxUserLine  = 256     // bytes; longer ones are skipped
	maxLoginText = 1 << 10 // bytes of a member auth, or an Authorization header
)

// LoginConfig describes a [Login]. The functions are called for every login, from
// any goroutine.
type LoginConfig struct {
	// Realm returns rpc.auth_domain. nil or "" = "RPC".
	Realm func() string
	// File returns the file of passwords: lines USER:REALM:HA1, as htdigest
	// writes them and [HTDigest] makes them. nil without an error = there is none,
	// so that nobody can log in, and programs on this machine need not; a file that
	// is empty is one. nil for the function = there is none.
	File func() ([]byte, error)
	// Algorithm returns rpc.auth_algo, the hash that the file was made with.
	// nil = SHA256.
	Algorithm func() Algorithm
}

// Login checks who somebody is. Make it with [NewLogin].
type Login struct {
	cfg      LoginConfig
	nonces   nonces
	failures pace
	lockouts pace
	judging  sync.Mutex // no answer is judged while another is
}

// NewLogin returns a Login.
func NewLogin(cfg LoginConfig) *Login {
	return &Login{
		cfg:      cfg,
		failures: pace{max: maxFailures, per: failureTime},
		lockouts: pace{max: 1, per: lockoutTime},
	}
}

// realm returns the realm of now.
func (l *Login) realm() string {
	if l.cfg.Realm != nil {
		if r := l.cfg.Realm(); r != "" {
			return r
		}
	}
	return "RPC"
}

// algorithm returns the algorithm of now.
func (l *Login) algorithm() Algorithm {
	if l.cfg.Algorithm != nil {
		return l.cfg.Algorithm()
	}
	return SHA256
}

// file returns the file of passwords, cut to the length that is read of it.
func (l *Login) file() ([]byte, error) {
	if l.cfg.File == nil {
		return nil, nil
	}
	text, err := l.cfg.File()
	return text[:min(len(text), maxFile)], err
}

// configured reports whether there is a file of passwords, readable or not.
func (l *Login) configured() bool {
	if l == nil {
		return false
	}
	text, err := l.file()
	return err != nil || text != nil
}

// FrameChallenge is FrameChallengeFor anybody: the nonce may be used from every
// address.
func (l *Login) FrameChallenge() string { return l.FrameChallengeFor("") }

// FrameChallengeFor returns the JSON text that is the message of an error 401 in a
// frame, with a new nonce that only one address can use; its port does not matter.
func (l *Login) FrameChallengeFor(remote string) string {
	out, _ := mjson.Appendf(nil, `{"auth_type":"digest","nonce":%ld,"nc":1,"realm":%Q,"algorithm":%Q}`,
		l.nonces.make(remoteHost(remote)), l.realm(), l.algorithm().String())
	return string(out)
}

// HTTPChallenge is HTTPChallengeFor anybody: the nonce may be used from every
// address.
func (l *Login) HTTPChallenge() string { return l.HTTPChallengeFor("") }

// HTTPChallengeFor returns the value of WWW-Authenticate, with a new nonce that only
// one address can use. The algorithm stands last, where the mos tool reads it.
func (l *Login) HTTPChallengeFor(remote string) string {
	return `Digest qop="auth", realm=` + quote(l.realm()) + `, nonce="` + nonceText(l.nonces.make(remoteHost(remote))) +
		`", algorithm=` + l.algorithm().String()
}

// nonceText returns a nonce as it stands in HTTP.
func nonceText(n int64) string { return strconv.FormatInt(n, 16) }

// claim is what somebody says who logs in.
type claim struct {
	user, realm, algorithm string
	nonce                  int64
	nonceText              string // as it is hashed
	nc, cnonce, response   string
	method, uri            string
	count                  uint64 // nc, of HTTP; 0: a frame
}

// Frame checks the member auth of a frame, a JSON object, and returns the name of
// the user. remote is the address that wrong answers are counted for. The error is a
// [*Refusal]: 400 for text that is no login, 401 for a wrong one, 429 after too many
// of those.
func (l *Login) Frame(remote string, auth []byte) (user string, err error) {
	c, ok := parseFrameLogin(auth)
	if !ok {
		return "", errBadLogin
	}
	return l.check(remote, c)
}

// HTTP checks the Authorization header of a request for a URI, the text of the
// request line, and returns the name of the user. "" as header is not counted as a
// wrong answer. The errors are those of Frame.
func (l *Login) HTTP(remote, authorization, method, uri string) (user string, err error) {
	if authorization == "" {
		return "", errLoginNeeded
	}
	c, ok := parseHTTPLogin(authorization)
	if !ok {
		return "", errBadLogin
	}
	if c.uri != uri {
		return "", errBadLogin
	}
	c.method = method
	return l.check(remote, c)
}

// check checks a claim.
func (l *Login) check(remote string, c *claim) (string, error) {
	remote = remoteHost(remote)
	if l.lockouts.full(remote) {
		return "", errLockedOut
	}
	if !l.nonces.use(remote, c.nonce, c.count) {
		return "", errLoginNeeded // no guess: it may just have become too old
	}
	a := l.algorithm()
	claimed, known := algorithmOf(c.algorithm)
	ha1, found := l.secret(c.user, a)
	want := a.response(ha1, c.nonceText, c.nc, c.cnonce, c.method, c.uri)
	right := subtle.ConstantTimeCompare([]byte(want), []byte(c.response)) == 1
	right = right && found && known && claimed == a && c.realm == l.realm()
	if r := l.judge(remote, right); r != nil {
		return "", r
	}
	return c.user, nil
}

// judge counts an answer, and refuses it if it is wrong, or comes after too many
// wrong ones. A right one takes none of them back: who knows one password must not
// guess another one the faster for it.
func (l *Login) judge(remote string, right bool) *Refusal {
	l.judging.Lock()
	defer l.judging.Unlock()
	if l.lockouts.full(remote) { // by answers that came meanwhile
		return errLockedOut
	}
	if right {
		return nil
	}
	l.failures.take(remote)
	if l.failures.full(remote) {
		l.lockouts.take(remote)
	}
	return errLoginNeeded
}

// secret returns the hash of the password of a user, and a meaningless one, that
// takes as long, if there is none.
func (l *Login) secret(user string, a Algorithm) (ha1 string, found bool) {
	ha1 = a.hash(user, "", "")
	realm := l.realm()
	text, err := l.file()
	if err != nil {
		return ha1, false
	}
	lines := 0
	for line := range bytes.Lines(text) {
		if lines++; lines > maxUsers {
			break
		}
		parts := strings.Split(strings.TrimRight(string(line), "\r\n"), ":")
		if !found && len(line) <= maxUserLine && len(parts) == 3 && parts[0] == user && parts[1] == realm && len(parts[2]) == len(ha1) {
			ha1, found = parts[2], true // and on, as for a user that there is not
		}
	}
	return ha1, found
}

// parseFrameLogin reads the member auth of a frame.
func parseFrameLogin(auth []byte) (c *claim, ok bool) {
	if len(auth) > maxLoginText || len(auth) == 0 || auth[0] != '{' {
		return nil, false
	}
	c = &claim{nc: frameCount, method: frameMethod, uri: frameURI}
	var cnonce int64
	for name, v := range mjson.Children(auth) {
		good := true
		key, _ := name.AppendString(nil)
		switch string(key) {
		case "realm":
			c.realm, good = v.Text()
		case "username":
			c.user, good = v.Text()
		case "algorithm":
			c.algorithm, good = v.Text()
		case "response":
			c.response, good = v.Text()
		case "nonce":
			c.nonce, good = v.Int()
		case "cnonce":
			cnonce, good = v.Int()
		}
		if !good {
			return nil, false
		}
	}
	c.nonceText, c.cnonce = strconv.FormatInt(c.nonce, 10), strconv.FormatInt(cnonce, 10)
	return c, c.realm != "" && c.user != "" && c.response != "" && c.nonce > 0 && cnonce != 0
}
