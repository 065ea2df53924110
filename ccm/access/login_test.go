package access_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// code returns the code of a refusal, 0 for none.
func code(err error) int {
	if r, is := errors.AsType[*access.Refusal](err); is {
		return r.Code
	}
	if err != nil {
		return -1
	}
	return 0
}

// house returns a Login with the user admin, whose password is secret.
func house(a access.Algorithm) *access.Login {
	return access.NewLogin(access.LoginConfig{
		File:      func() ([]byte, error) { return []byte(access.HTDigest("admin", "RPC", "secret", a)), nil },
		Algorithm: func() access.Algorithm { return a },
	})
}

// answer answers a challenge of a frame.
func answer(t *testing.T, l *access.Login, user, password string) []byte {
	t.Helper()
	auth, err := access.AnswerFrame(l.FrameChallenge(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// enter logs in by a frame.
func enter(t *testing.T, l *access.Login, remote, user, password string) int {
	t.Helper()
	_, err := l.Frame(remote, answer(t, l, user, password))
	return code(err)
}

func TestFrameLogin(t *testing.T) {
	for _, a := range []access.Algorithm{access.MD5, access.SHA256} {
		l := house(a)
		auth := answer(t, l, "admin", "secret")
		if user, err := l.Frame("a:1", auth); user != "admin" || err != nil {
			t.Errorf("%v: %q, %v", a, user, err)
		}
		if _, err := l.Frame("a:1", auth); code(err) != 401 {
			t.Errorf("%v: a replay: %v", a, err)
		}
		if got := enter(t, l, "a:1", "admin", "Secret"); got != 401 {
			t.Errorf("%v: wrong password: %d", a, got)
		}
		if got := enter(t, l, "a:1", "Admin", "secret"); got != 401 {
			t.Errorf("%v: unknown user: %d", a, got)
		}
	}
}

// TestFrameLoginBad: every member must be there and fit.
func TestFrameLoginBad(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(m map[string]any)
		want int
	}{
		{"nothing", func(m map[string]any) {}, 0},
		{"another realm", func(m map[string]any) { m["realm"] = "rpc" }, 401},
		{"another algorithm", func(m map[string]any) { m["algorithm"] = "MD5" }, 401},
		{"unknown algorithm", func(m map[string]any) { m["algorithm"] = "SHA-512" }, 401},
		{"no algorithm", func(m map[string]any) { delete(m, "algorithm") }, 401},
		{"upper case", func(m map[string]any) { m["response"] = strings.ToUpper(m["response"].(string)) }, 401},
		{"client's nonce", func(m map[string]any) { m["nonce"] = 5 }, 401},
		{"another cnonce", func(m map[string]any) { m["cnonce"] = 5 }, 401},
		{"no realm", func(m map[string]any) { m["realm"] = "" }, 400},
		{"no user", func(m map[string]any) { delete(m, "username") }, 400},
		{"no nonce", func(m map[string]any) { delete(m, "nonce") }, 400},
		{"negative nonce", func(m map[string]any) { m["nonce"] = -1 }, 400},
		{"text for a nonce", func(m map[string]any) { m["nonce"] = "5" }, 400},
		{"fraction", func(m map[string]any) { m["nonce"] = 1.5 }, 400},
		{"no cnonce", func(m map[string]any) { delete(m, "cnonce") }, 400},
		{"no response", func(m map[string]any) { m["response"] = "" }, 400},
		{"number for a name", func(m map[string]any) { m["username"] = 5 }, 400},
		{"long", func(m map[string]any) { m["x"] = strings.Repeat("x", 1024) }, 400},
		{"more", func(m map[string]any) { m["x"] = []int{1} }, 0},
	} {
		l := house(access.SHA256)
		var m map[string]any
		d := json.NewDecoder(strings.NewReader(string(answer(t, l, "admin", "secret"))))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		c.edit(m)
		auth, _ := json.Marshal(m)
		if _, err := l.Frame("a", auth); code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, text := range []string{"", "null", "[]", `"x"`, "{}", `{"nonce":1`} {
		if _, err := house(access.MD5).Frame("a", []byte(text)); code(err) != 400 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestHTTPLogin(t *testing.T) {
	l := house(access.SHA256)
	if _, err := l.HTTP("a", "", "POST", "/rpc"); code(err) != 401 {
		t.Errorf("no header: %v", err)
	}
	challenge := l.HTTPChallenge()
	if !strings.HasPrefix(challenge, `Digest qop="auth", realm="RPC", nonce="`) || !strings.HasSuffix(challenge, `", algorithm=SHA-256`) {
		t.Errorf("challenge %s", challenge)
	}
	header := func(method, uri string) string {
		h, err := access.AnswerHTTP(challenge, "admin", "secret", method, uri)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	good := header("POST", "/rpc")
	for _, c := range []struct {
		name, header, method, uri string
		want                      int
	}{
		{"another method", good, "GET", "/rpc", 401}, // uses the count up
		{"good, but counted", good, "POST", "/rpc", 401},
		{"another path", good, "POST", "/rpc/x", 400},
		{"basic", "Basic YWRtaW46c2VjcmV0", "POST", "/rpc", 400},
		{"nothing behind it", "Digest", "POST", "/rpc", 400},
		{"cut", good[:len(good)-1], "POST", "/rpc", 400},
		{"twice", good + `, nc=00000002`, "POST", "/rpc", 400},
		{"no qop", strings.Replace(good, "qop=auth, ", "", 1), "POST", "/rpc", 400},
		{"no user", strings.Replace(good, `"admin"`, `""`, 1), "POST", "/rpc", 400},
		{"no realm", strings.Replace(good, `"RPC"`, `""`, 1), "POST", "/rpc", 400},
		{"no response", good[:strings.Index(good, `response=`)] + `response=""`, "POST", "/rpc", 400},
		{"no cnonce", strings.Replace(good, `cnonce=`, `cnonce="", x=`, 1), "POST", "/rpc", 400},
		{"no comma", strings.Replace(good, `"RPC", uri`, `"RPC"xuri`, 1), "POST", "/rpc", 400},
		{"no count", strings.Replace(good, "nc=00000001", "nc=00000000", 1), "POST", "/rpc", 400},
		{"short count", strings.Replace(good, "nc=00000001", "nc=1", 1), "POST", "/rpc", 400},
		{"long", good + ", x=" + strings.Repeat("x", 1024), "POST", "/rpc", 400},
	} {
		if _, err := l.HTTP("a", c.header, c.method, c.uri); code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	challenge = l.HTTPChallenge()
	odd := strings.NewReplacer(", ", " ,, ", "username", "UserName", "Digest", "DIGEST ").Replace(header("POST", "/rpc"))
	if user, err := l.HTTP("a", odd, "POST", "/rpc"); user != "admin" || err != nil {
		t.Errorf("good: %q, %v", user, err)
	}
	if _, err := l.HTTP("a", header("POST", "/rpc"), "POST", "/rpc"); code(err) != 401 {
		t.Errorf("a count that does not grow: %v", err)
	}
}

// TestFrameLoginMD5: what is wrong even if the response is right.
func TestFrameLoginMD5(t *testing.T) {
	for _, c := range []struct {
		algorithm, user, ha1 string
		want                 int
	}{
		{`"MD5"`, "admin", access.Hash("admin", "RPC", "secret"), 0},
		{`""`, "admin", access.Hash("admin", "RPC", "secret"), 0},
		{`"SHA-512"`, "admin", access.Hash("admin", "RPC", "secret"), 401},
		{`"SHA-256"`, "admin", access.Hash("admin", "RPC", "secret"), 401},
		{`"md5"`, "admin", access.Hash("admin", "RPC", "secret"), 401},
		{`5`, "admin", access.Hash("admin", "RPC", "secret"), 400},
		{`null`, "admin", access.Hash("admin", "RPC", "secret"), 400},
		{`"MD5"`, "ghost", access.Hash("ghost", "", ""), 401}, // what is computed for users that there are not
		{`"MD5"`, "ghost", "", 401},
	} {
		l := house(access.MD5)
		l.Hand(7)
		auth := fmt.Sprintf(`{"realm":"RPC","username":%q,"nonce":7,"cnonce":9,"algorithm":%s,"response":%q}`,
			c.user, c.algorithm, access.Hash(c.ha1, "7", "1", "9", "auth", access.Hash("dummy_method", "dummy_uri")))
		if _, err := l.Frame("a", []byte(auth)); code(err) != c.want {
			t.Errorf("%s %s: %v, want %d", c.algorithm, c.user, err, c.want)
		}
	}
}

// TestNonces: one lasts a minute, and 64 are kept.
func TestNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := house(access.MD5)
		first, second := answer(t, l, "admin", "secret"), answer(t, l, "admin", "secret")
		time.Sleep(59 * time.Second)
		if _, err := l.Frame("a", first); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := l.Frame("a", second); code(err) != 401 {
			t.Errorf("too old: %v", err)
		}
		lost := answer(t, l, "admin", "secret")
		kept := answer(t, l, "admin", "secret")
		for range 63 {
			l.FrameChallenge()
		}
		if n := l.Outstanding(); n != 64 {
			t.Errorf("%d nonces", n)
		}
		if _, err := l.Frame("a", lost); code(err) != 401 {
			t.Errorf("the oldest: %v", err)
		}
		if _, err := l.Frame("a", kept); err != nil {
			t.Error(err)
		}
	})
}

// TestP4Guesses: of ten thousand guesses, five a minute are looked at; neither
// another address nor the owner, later, suffers.
func TestP4Guesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := house(access.SHA256)
		begin, wrong := time.Now(), 0
		for i := range 10000 {
			switch got := enter(t, l, fmt.Sprintf("192.0.2.7:%d", i), "admin", fmt.Sprint(i)); got {
			case 401:
				wrong++
			case 429:
			default:
				t.Fatalf("guess %d: %d", i, got)
			}
			time.Sleep(100 * time.Millisecond)
		}
		minutes := int(time.Since(begin)/time.Minute) + 1
		if wrong > 5*minutes {
			t.Errorf("%d guesses in %d minutes", wrong, minutes)
		}
		if got := enter(t, l, "192.0.2.7:1", "admin", "secret"); got != 429 && got != 0 {
			t.Errorf("the owner at that address: %d", got)
		}
		if got := enter(t, l, "192.0.2.8:1", "admin", "secret"); got != 0 {
			t.Errorf("another address: %d", got)
		}
		time.Sleep(time.Minute)
		if got := enter(t, l, "192.0.2.7:1", "admin", "secret"); got != 0 {
			t.Errorf("a minute later: %d", got)
		}
	})
}

// TestLockout: the fifth wrong answer in a minute is the last for a minute. A right
// one in between changes nothing.
func TestLockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := house(access.SHA256)
		for _, want := range []struct {
			password string
			code     int
			pause    time.Duration
		}{
			{"x", 401, 0}, {"x", 401, 0}, {"x", 401, 0}, {"secret", 0, 0}, {"x", 401, time.Minute},
			{"x", 401, 0}, {"x", 401, 0}, {"x", 401, 0}, {"secret", 0, 0}, {"x", 401, 59 * time.Second}, {"x", 401, 0},
			{"secret", 429, 59 * time.Second}, {"x", 429, time.Second}, {"secret", 0, 0},
			{"x", 401, 0}, {"x", 401, 0}, {"x", 401, 0}, {"x", 401, 0}, {"secret", 0, 0}, {"x", 401, 0}, {"x", 429, 0}, {"secret", 429, 0},
		} {
			if got := enter(t, l, "[fe80::1%eth0]:7", "admin", want.password); got != want.code {
				t.Errorf("%q: %d, want %d", want.password, got, want.code)
			}
			time.Sleep(want.pause)
		}
	})
}

// TestP4Parallel: guesses that are made at once are no more than five, however long
// it takes to read the passwords.
func TestP4Parallel(t *testing.T) {
	for range 400 { // two guesses are seldom judged at the same moment
		synctest.Test(t, func(t *testing.T) {
			l := access.NewLogin(access.LoginConfig{File: func() ([]byte, error) {
				time.Sleep(time.Second) // until all guesses are here
				return []byte(access.HTDigest("admin", "RPC", "secret", access.SHA256)), nil
			}})
			var looked atomic.Int32
			for range 60 {
				guess := answer(t, l, "admin", "x")
				go func() {
					if _, err := l.Frame("192.0.2.7:1", guess); code(err) == 401 {
						looked.Add(1)
					}
				}()
			}
			time.Sleep(time.Minute)
			if n := looked.Load(); n != 5 {
				t.Errorf("%d guesses were looked at", n)
			}
		})
	}
}

// TestLockoutNonce: a login that comes too early does not use its nonce up.
func TestLockoutNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := house(access.SHA256)
		for range 5 {
			enter(t, l, "a", "admin", "x")
		}
		time.Sleep(30 * time.Second)
		auth := answer(t, l, "admin", "secret")
		if _, err := l.Frame("a", auth); code(err) != 429 {
			t.Error(err)
		}
		time.Sleep(30 * time.Second)
		if _, err := l.Frame("a", auth); err != nil {
			t.Error(err)
		}
	})
}

// TestSameAddress: the ways to write an address are one for those who guess.
func TestSameAddress(t *testing.T) {
	for _, c := range [][2]string{{"[::ffff:192.0.2.7]:1", "192.0.2.7:2"}, {"[fe80::1%eth0]:1", "[fe80::1%eth1]:2"}, {"[FE80::1]:1", "fe80::1"}, {"UART0", "UART0"}} {
		l := house(access.SHA256)
		for range 5 {
			enter(t, l, c[0], "admin", "x")
		}
		if got := enter(t, l, c[1], "admin", "secret"); got != 429 {
			t.Errorf("%q after %q: %d", c[1], c[0], got)
		}
	}
}

// TestP4Stolen: a nonce that was made for an address is of no use at another one,
// which does not use it up, and is not blamed either.
func TestP4Stolen(t *testing.T) {
	const owner, thief = "192.0.2.7:1", "192.0.2.8:1"
	l := house(access.SHA256)
	auth, err := access.AnswerFrame(l.FrameChallengeFor(owner), "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	header, err := access.AnswerHTTP(l.HTTPChallengeFor(owner), "admin", "secret", "POST", "/rpc")
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if _, err := l.Frame(thief, auth); code(err) != 401 {
			t.Errorf("the frame: %v", err)
		}
		if _, err := l.HTTP(thief, header, "POST", "/rpc"); code(err) != 401 {
			t.Errorf("the header: %v", err)
		}
	}
	if user, err := l.Frame("192.0.2.7:2", auth); user != "admin" || err != nil { // another connection
		t.Errorf("the owner: %q, %v", user, err)
	}
	if user, err := l.HTTP("192.0.2.7:3", header, "POST", "/rpc"); user != "admin" || err != nil {
		t.Errorf("the owner: %q, %v", user, err)
	}
	if _, err := l.HTTP(thief, header, "POST", "/rpc"); code(err) != 401 {
		t.Errorf("a replay from elsewhere: %v", err)
	}
}

// TestNoncesFair: who asks for one challenge after the other takes none from
// others.
func TestNoncesFair(t *testing.T) {
	l := house(access.SHA256)
	auth, err := access.AnswerFrame(l.FrameChallengeFor("192.0.2.7:1"), "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		l.FrameChallengeFor(fmt.Sprintf("192.0.2.8:%d", i))
	}
	if n := l.Outstanding(); n != 64 {
		t.Errorf("%d nonces", n)
	}
	if _, err := l.Frame("192.0.2.7:1", auth); err != nil {
		t.Error(err)
	}
}

// TestCounts: the count of a nonce by HTTP has to grow, by however much, and a nonce
// that was used so is none for a frame.
func TestCounts(t *testing.T) {
	l := house(access.MD5)
	l.Hand(0x1234)
	ha1 := strings.TrimSpace(access.HTDigest("admin", "RPC", "secret", access.MD5))[len("admin:RPC:"):]
	for _, c := range []struct {
		nonce, nc string
		want      int
	}{
		{"1234", "00000001", 0}, {"1234", "00000001", 401}, {"1234", "00000002", 0}, {"1234", "0000000a", 0}, {"1234", "00000009", 401},
		{"1234", "0000000B", 0}, {"1234", "+000000c", 400}, {"+1234", "0000000d", 400}, {"01234", "0000000d", 400}, {"1235", "0000000d", 401},
		{"-1234", "0000000d", 400}, {"0", "0000000d", 400}, {"", "0000000d", 400}, {"1234", "ffffffff", 0}, {"1234", "100000000", 400}, {"1234", "ffffffff", 401},
	} {
		ha2 := access.Hash("POST", "/rpc")
		header := fmt.Sprintf(`Digest username="admin", realm="RPC", uri="/rpc", nonce="%s", nc=%s, cnonce="5", qop=auth, response="%s"`,
			c.nonce, c.nc, access.Hash(ha1, c.nonce, c.nc, "5", "auth", ha2))
		if _, err := l.HTTP("a", header, "POST", "/rpc"); code(err) != c.want {
			t.Errorf("nonce %s, nc %s: %v, want %d", c.nonce, c.nc, err, c.want)
		}
	}
	l = house(access.MD5)
	challenge := l.HTTPChallenge()
	header, _ := access.AnswerHTTP(challenge, "admin", "secret", "POST", "/rpc")
	if _, err := l.HTTP("a", header, "POST", "/rpc"); err != nil {
		t.Fatal(err)
	}
	nonce, _, _ := strings.Cut(challenge[strings.Index(challenge, `nonce="`)+7:], `"`)
	n, _ := strconv.ParseInt(nonce, 16, 64)
	auth, _ := access.AnswerFrame(fmt.Sprintf(`{"nonce":%d,"realm":"RPC","algorithm":"MD5"}`, n), "admin", "secret")
	if _, err := l.Frame("a", auth); code(err) != 401 {
		t.Errorf("a frame with it: %v", err)
	}
}

// TestNonceRange: what is handed out is random, and every JSON reader takes it.
func TestNonceRange(t *testing.T) {
	l, seen, large := house(access.MD5), map[int64]bool{}, 0
	for range 1000 {
		n, is := mjson.Find([]byte(l.FrameChallenge()), "$.nonce").Int()
		if !is || n < 1 || n >= 1<<53 || seen[n] {
			t.Fatalf("nonce %d", n)
		}
		if seen[n] = true; n >= 1<<52 {
			large++
		}
	}
	if large < 300 || large > 700 {
		t.Errorf("%d of 1000 are in the upper half", large)
	}
}

// TestSilentLogin: neither passwords nor what comes of them are in an error.
func TestSilentLogin(t *testing.T) {
	const canary = "canary7c1f"
	l := access.NewLogin(access.LoginConfig{File: func() ([]byte, error) { return nil, errors.New(canary) }})
	auth := answer(t, l, canary, canary)
	for _, err := range []error{second(l.Frame("a", auth)), second(l.Frame("a", []byte(`{"response":"`+canary+`"}`))), second(l.HTTP("a", "Digest "+canary, "POST", "/"))} {
		if err == nil || strings.Contains(fmt.Sprintf("%+v", err), canary) {
			t.Errorf("%v", err)
		}
	}
}

func second(_ string, err error) error { return err }

// TestRemotes: as many addresses as may be are remembered, and the one that was
// heard of the longest ago is forgotten first.
func TestRemotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := house(access.SHA256)
		address := func(i int) string { return fmt.Sprintf("192.0.%d.%d:1", i/256, i%256) }
		for i := range 1024 {
			for range 5 {
				enter(t, l, address(i), "admin", "x")
			}
			time.Sleep(time.Millisecond)
		}
		if got := enter(t, l, address(0), "admin", "secret"); got != 429 {
			t.Errorf("the first of 1024: %d", got)
		}
		for range 5 {
			enter(t, l, "198.51.100.1:1", "admin", "x")
		}
		for i, want := range map[int]int{0: 0, 1: 429, 1023: 429} {
			if got := enter(t, l, address(i), "admin", "secret"); got != want {
				t.Errorf("address %d: %d, want %d", i, got, want)
			}
		}
		for i := range 2000 {
			enter(t, l, address(i), "admin", "x")
		}
		if n := l.Remotes(); n != 1024 {
			t.Errorf("%d addresses", n)
		}
	})
}

// line returns a line of n bytes.
func line(n int) string { return strings.Repeat("x", n-1) + "\n" }

// filled returns a text of n bytes that ends with tail.
func filled(tail string, n int) string { return line(n-len(tail)) + tail }

// TestFile: what of a file of passwords counts.
func TestFile(t *testing.T) {
	good := access.HTDigest("admin", "RPC", "secret", access.SHA256)
	for _, c := range []struct {
		name, text string
		err        error
		want       int
	}{
		{"good", good, nil, 0},
		{"CRLF", strings.Replace(good, "\n", "\r\n", 1), nil, 0},
		{"no line end", strings.TrimSpace(good), nil, 0},
		{"behind others", "# text\n\n" + access.HTDigest("a", "RPC", "b", access.SHA256) + "admin:Other:x\n" + good, nil, 0},
		{"nothing", "", nil, 401},
		{"another realm", access.HTDigest("admin", "X", "secret", access.SHA256), nil, 401},
		{"another hash", access.HTDigest("admin", "RPC", "secret", access.MD5), nil, 401},
		{"line 65", strings.Repeat("x\n", 64) + good, nil, 401},
		{"line 64", strings.Repeat("x\n", 63) + good, nil, 0},
		{"behind a long line", line(300) + good, nil, 0},
		{"twice, the first counts", good + access.HTDigest("admin", "RPC", "other", access.SHA256), nil, 0},
		{"twice, the second does not", access.HTDigest("admin", "RPC", "other", access.SHA256) + good, nil, 401},
		{"another realm, the same hash", strings.Replace(good, ":RPC:", ":X:", 1), nil, 401},
		{"another realm before", access.HTDigest("admin", "X", "other", access.SHA256) + good, nil, 0},
		{"of both hashes", access.HTDigest("admin", "RPC", "secret", access.MD5) + good, nil, 0},
		{"a hash cut", strings.TrimSpace(good)[:40], nil, 401},
		{"four fields", strings.TrimSpace(good) + ":x\n", nil, 401},
		{"ends at 8 KiB", filled(good, 8<<10), nil, 0},
		{"ends two bytes beyond 8 KiB", filled(good, 8<<10+2), nil, 401},
		{"beyond 8 KiB", strings.Repeat("x", 8<<10) + "\n" + good, nil, 401},
		{"unreadable", good, errors.New("no"), 401},
	} {
		l := access.NewLogin(access.LoginConfig{File: func() ([]byte, error) { return []byte(c.text), c.err }})
		if got := enter(t, l, "a", "admin", "secret"); got != c.want {
			t.Errorf("%s: %d", c.name, got)
		}
	}
	if got := enter(t, access.NewLogin(access.LoginConfig{}), "a", "admin", "secret"); got != 401 {
		t.Errorf("no file: %d", got)
	}
}

// TestFileLine: lines of up to 256 bytes count.
func TestFileLine(t *testing.T) {
	for length, want := range map[int]int{256: 0, 257: 401} {
		user := strings.Repeat("u", length-len(access.HTDigest("", "RPC", "secret", access.SHA256)))
		l := access.NewLogin(access.LoginConfig{File: func() ([]byte, error) { return []byte(access.HTDigest(user, "RPC", "secret", access.SHA256)), nil }})
		if got := enter(t, l, "a", user, "secret"); got != want {
			t.Errorf("a line of %d bytes: %d", length, got)
		}
	}
}

func TestAnswerBad(t *testing.T) {
	for _, text := range []string{"", "unauthorized", "{}", `{"realm":"RPC","nonce":"x"}`, `{"realm":"RPC","nonce":5,"algorithm":"X"}`} {
		if _, err := access.AnswerFrame(text, "a", "b"); err != access.ErrChallenge {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "Basic", `Digest realm="x"`, `Digest realm="x", qop="auth", algorithm=MD5`, `Digest realm="x", nonce="5", algorithm=MD5`, `Digest nonce="5", qop="auth", algorithm=X`} {
		if _, err := access.AnswerHTTP(text, "a", "b", "GET", "/"); err != access.ErrChallenge {
			t.Errorf("%q: %v", text, err)
		}
	}
}
