package access_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
)

// newGate returns a Gate.
func newGate(t testing.TB, cfg access.Config) *access.Gate {
	t.Helper()
	g, err := access.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// kinds are the methods of a module: those of the house, one of the program, and
// those of a host.
func kinds(method string) access.Kind {
	switch {
	case strings.HasPrefix(method, "Own."):
		return access.Registered
	case strings.HasPrefix(method, "host/"), method == "Sum":
		return access.HostMethod
	case method == "Nope":
		return access.Unknown
	}
	return access.Builtin
}

// TestP2Matrix: method x origin x window x login, by the rules of the house.
func TestP2Matrix(t *testing.T) {
	const far, near = "192.0.2.7:4711", "127.0.0.1:4711"
	methods := []string{"RPC.List", "RPC.Ping", "Sys.GetInfo", "Wifi.Scan", "Config.Get", "Config.Set", "Config.Save", // section 4.2
		"MQTT.Pub", "Shadow.Get", "OTA.Update", "FS.Get", "Sys.Reboot", "RPC.Describe", "Own.New", "Own.Listed", "host/Sum", "Sum", "Nope"}
	origins := []struct {
		name   string
		origin access.Origin
		want   func(method string, open, file bool) int
	}{
		{"host", access.Origin{Role: access.Host, Channel: access.UART}, func(string, bool, bool) int { return 0 }},
		{"cloud", access.Origin{Role: access.Cloud, Channel: access.MQTT}, func(string, bool, bool) int { return 0 }},
		{"vendor", access.Origin{Role: access.Vendor}, func(string, bool, bool) int { return 0 }},
		{"nobody", access.Origin{Channel: access.HTTP, User: "admin"}, func(string, bool, bool) int { return 403 }},
		{"unknown role", access.Origin{Role: 99, User: "admin"}, func(string, bool, bool) int { return 403 }},
		{"user", access.Origin{Role: access.User, Channel: access.HTTP, Remote: far, User: "admin"}, func(m string, open, _ bool) int {
			for _, allowed := range methods[:7] {
				if m == allowed && open {
					return 0
				}
			}
			return 403
		}},
		{"LAN", access.Origin{Role: access.LAN, Channel: access.HTTP, Remote: far}, func(string, bool, bool) int { return 401 }},
		{"LAN, logged in", access.Origin{Role: access.LAN, Channel: access.WSIn, Remote: far, User: "admin"}, func(m string, _, _ bool) int {
			if m == "Own.New" {
				return 403
			}
			return 0
		}},
		{"loopback", access.Origin{Role: access.LAN, Channel: access.HTTP, Remote: near}, func(m string, _, file bool) int {
			switch {
			case file:
				return 401
			case m == "Own.New":
				return 403
			}
			return 0
		}},
	}
	for _, open := range []bool{false, true} {
		for _, file := range []bool{false, true} {
			var l *access.Login
			if file {
				l = house(access.SHA256)
			}
			g := newGate(t, access.Config{Kind: kinds, Login: l, Window: func() bool { return open },
				Allow: []access.Entry{{Method: "Own.L*", Roles: []access.Role{access.LAN, access.User}}}})
			for _, o := range origins {
				for i, m := range methods {
					at := o.origin
					if at.Role == access.User {
						at.Remote = fmt.Sprint("192.0.2.", i) // each below the limit
					}
					want := o.want(m, open, file)
					if got := code(g.Authorize(&at, m)); got != want {
						t.Errorf("%s, window %v, file %v: %s: %d, want %d", o.name, open, file, m, got, want)
					}
					if got := g.Listed(&at, m); got != (want == 0 || want == 401 && file) {
						t.Errorf("%s, window %v, file %v: %s: listed %v", o.name, open, file, m, got)
					}
				}
			}
			if err := g.Authorize(nil, "Own.New"); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestUnopened: without a window nothing is open, and with AllowAnonymousLAN
// everything is.
func TestUnopened(t *testing.T) {
	g := newGate(t, access.Config{AllowAnonymousLAN: true, Login: house(access.MD5)})
	if err := g.Authorize(&access.Origin{Role: access.User}, "RPC.List"); code(err) != 403 {
		t.Error(err)
	}
	if err := g.Authorize(&access.Origin{Role: access.LAN, Remote: "192.0.2.7:1"}, "Config.Set"); err != nil {
		t.Error(err)
	}
}

// TestLoopback: who is on this machine.
func TestLoopback(t *testing.T) {
	for remote, want := range map[string]bool{
		"127.0.0.1:80": true, "127.1.2.3": true, "[::1]:80": true, "::1": true, "[::ffff:127.0.0.1]:1": true,
		"192.0.2.7:80": false, "": false, "localhost:1": false, "UART0": false, "[::2]:1": false, "127.0.0.1.example:80": false,
	} {
		if got := (&access.Origin{Remote: remote}).Loopback(); got != want {
			t.Errorf("%q: %v", remote, got)
		}
	}
}

// TestWindowPace: ten requests a second and three saves a minute, for each address.
func TestWindowPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, access.Config{Window: func() bool { return true }})
		o := &access.Origin{Role: access.User, Channel: access.HTTP, Remote: "192.168.4.2:1"}
		other := &access.Origin{Role: access.User, Channel: access.HTTP, Remote: "192.168.4.3:1"}
		burst := func(o *access.Origin, n int, method string) (taken int) {
			for range n {
				if err := g.Authorize(o, method); err == nil {
					taken++
				} else if code(err) != 429 {
					t.Error(err)
				}
			}
			return taken
		}
		if n := burst(o, 50, "RPC.Ping"); n != 10 {
			t.Errorf("%d of 50", n)
		}
		o.Remote = "192.168.4.2:2" // the same device
		if n := burst(o, 1, "RPC.Ping") + burst(other, 1, "RPC.Ping"); n != 1 {
			t.Errorf("%d", n)
		}
		time.Sleep(time.Second)
		if n := burst(o, 5, "Config.Save"); n != 3 {
			t.Errorf("%d saves", n)
		}
		if code(g.MaySave(o)) != 429 || g.MaySave(other) != nil || g.MaySave(&access.Origin{Role: access.LAN}) != nil || g.MaySave(nil) != nil {
			t.Error("MaySave does not agree")
		}
		for range 5 {
			if g.MaySave(&access.Origin{Role: access.LAN}) != nil || g.MaySave(&access.Origin{Role: access.Host}) != nil {
				t.Error("others are limited, too")
			}
		}
		time.Sleep(time.Minute)
		if n := burst(o, 5, "Config.Save"); n != 3 {
			t.Errorf("%d saves a minute later", n)
		}
		for i := range 5000 {
			g.Authorize(&access.Origin{Role: access.User, Remote: fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)}, "Config.Save")
		}
		if n := g.Remotes(); n > 1024 {
			t.Errorf("%d addresses", n)
		}
	})
}

// TestWindowPaceKnown: when no more addresses can be remembered, one that is known
// drives no other one out.
func TestWindowPaceKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, access.Config{Window: func() bool { return true }})
		ask := func(i int) int {
			o := &access.Origin{Role: access.User, Remote: fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)}
			return code(g.Authorize(o, "RPC.Ping"))
		}
		for range 10 {
			ask(0)
		}
		time.Sleep(time.Millisecond)
		for i := range 1023 {
			ask(i + 1)
		}
		if ask(5) != 0 || ask(0) != 429 {
			t.Error("the first address was forgotten")
		}
		if ask(1024) != 0 || ask(0) != 0 || g.Remotes() != 1024 {
			t.Error("the first address was not forgotten")
		}
	})
}

func TestConfigACL(t *testing.T) {
	g := newGate(t, access.Config{})
	for _, c := range []struct {
		role access.Role
		want string
	}{{access.Host, "*"}, {access.Cloud, "*"}, {access.Vendor, "*"}, {access.Nobody, ""}, {access.User, "wifi.sta.*,wifi.sta1.*,wifi.sta2.*"},
		{access.LAN, "-update.key*,-update.ed_key*,-update.sig_req_mask,-update.allow_*,-update.min_version,*"}} {
		if got := g.ConfigACL(&access.Origin{Role: c.role}); got != c.want {
			t.Errorf("%v: %q", c.role, got)
		}
	}
	if g.ConfigACL(nil) != "*" {
		t.Error("the program is bound")
	}
}

// TestRules: rpc.acl decides, but for end users within their list only.
func TestRules(t *testing.T) {
	const rules = `[{"method":"Sys.*","acl":"*"},{"ch_type":"HTTP","method":"FS.*","acl":"-*"},{"method":"FS.*","acl":"+*"},
		{"ch_type":"UART","acl":"*"},{"method":"Config.*","acl":"-joe,adm*"},{"ch_type":"MQTT","acl":"-*"}, {"method":"A|B","acl":""},{"method":"Wifi.Scan","acl":"*"}]`
	g := newGate(t, access.Config{Rules: func() (string, string) { return rules, "" }, Window: func() bool { return true }, Kind: kinds,
		Login: house(access.MD5)})
	for _, c := range []struct {
		role    access.Role
		channel string
		user    string
		method  string
		want    int
	}{
		{access.LAN, access.HTTP, "", "Sys.Reboot", 0},
		{access.LAN, access.HTTP, "", "FS.Get", 403},
		{access.LAN, access.WSIn, "", "FS.Get", 0},
		{access.Host, access.UART, "", "Config.Set", 0},
		{access.Host, access.UART, "", "Own.New", 0},
		{access.LAN, access.HTTP, "", "Config.Set", 401},
		{access.LAN, access.HTTP, "admin", "Config.Set", 0},
		{access.LAN, access.HTTP, "adm", "Config.Set", 403},
		{access.LAN, access.HTTP, "joe", "Config.Set", 403},
		{access.Cloud, access.MQTT, "", "Config.Set", 401},
		{access.Cloud, access.MQTT, "", "MQTT.Pub", 403},
		{access.LAN, access.HTTP, "admin", "RPC.List", 403},
		{access.LAN, access.HTTP, "admin", "sys.reboot", 0},
		{access.LAN, access.HTTP, "admin", "B", 403},
		{access.User, access.HTTP, "", "Sys.Reboot", 403},
		{access.User, access.HTTP, "", "Sys.GetInfo", 0},
		{access.User, access.HTTP, "", "Wifi.Scan", 0},
		{access.User, access.HTTP, "", "RPC.List", 403},
		{access.User, access.HTTP, "", "Config.Set", 401},
		{access.User, access.HTTP, "admin", "Config.Set", 0},
		{access.User, access.HTTP, "joe", "Config.Set", 403},
		{access.Vendor, "", "", "RPC.List", 0},
	} {
		o := &access.Origin{Role: c.role, Channel: c.channel, User: c.user, Remote: "127.0.0.1:1"}
		if got := code(g.Authorize(o, c.method)); got != c.want {
			t.Errorf("%v %s %q %s: %d, want %d", c.role, c.channel, c.user, c.method, got, c.want)
		}
	}
}

// TestRulesBad: rules that cannot be read let only hosts in, and are logged once.
func TestRulesBad(t *testing.T) {
	const good = `[{"method":"*","acl":"*"}]`
	files := map[string]string{"good": good, "bad": good + ",", "long": good + strings.Repeat(" ", 64<<10)}
	var log bytes.Buffer
	for _, c := range []struct {
		inline, file string
		good         bool
	}{
		{good, "", true}, {"@good", "", true}, {"", "good", true}, {"[]", "", false},
		{good, "good", false}, {"@bad", "", false}, {"", "bad", false}, {"", "none", false}, {"@", "", false}, {"@long", "", false},
		{"x", "", false}, {"null", "", false}, {"{}", "", false}, {`[1]`, "", false}, {`["x"]`, "", false}, {`[{"method":"*" "acl":"*"}]`, "", false},
		{`[{"method":"*"}]`, "", false}, {`[{"acl":"*"}]`, "", false}, {`[{"method":5,"acl":"*"}]`, "", false}, {`[{"method":"*","acl":true}]`, "", false},
		{`[{"method":"*","ch_type":[],"acl":"*"}]`, "", false}, {`[{"method":"*","acl":null}]`, "", false}, {`[{"method":null,"ch_type":"MQTT","acl":"*"}]`, "", false},
		{`[{"method":"","ch_type":"MQTT","acl":"*"}]`, "", false}, {`[{"method":"*","ch_type":"","acl":"*"}]`, "", false}, {`[null]`, "", false},
		{`[["method","*","acl","*"]]`, "", false}, {`[{"method":"*","acl":"*","x":"` + "\xff" + `"}]`, "", false},
		{`[{"method":"*","acl":"*","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}]", "", false}, {good + strings.Repeat(" ", 64<<10-len(good)), "", true},
		{"[" + strings.Repeat(`{"method":"*","acl":"*"},`, 255) + `{"method":"*","acl":"*"}]`, "", true}, {"[" + strings.Repeat(`{"method":"*","acl":"*"},`, 256) + `{"method":"*","acl":"*"}]`, "", false},
		{`[{"method":"*","acl":"-*","acl":"*"}]`, "", false}, {`[{"method":"*","acl":"*","\u0061cl":"*"}]`, "", false}, {`[{"x":1,"method":"*","acl":"*","x":2}]`, "", false},
		{`[{"x":{"acl":[1,"]"]},"method":"*","acl":"*","y":null}]`, "", true}, {`[{"ch_type":"MQTT","acl":"+*"}]`, "", true},
		{good + " " + strings.Repeat(" ", 64<<10), "", false}, {"@good", "good", false}, {good + good, "", false}, {"[" + strings.Repeat(`{"method":"*","acl":"*"},`, 300) + `{"method":"*","acl":"*"}]`, "", false},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "", false},
	} {
		log.Reset()
		g := newGate(t, access.Config{Rules: func() (string, string) { return c.inline, c.file }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			ReadFile: func(name string) ([]byte, error) {
				if text, is := files[name]; is {
					return []byte(text), nil
				}
				return nil, errors.New("no such file")
			}})
		for range 3 {
			if got := code(g.Authorize(&access.Origin{Role: access.Cloud, Channel: access.MQTT}, "X")); got != map[bool]int{true: 0, false: 403}[c.good] {
				t.Errorf("%q %q: %d", c.inline, c.file, got)
			}
		}
		empty := c.inline == "[]" // which are rules
		others := strings.Contains(c.inline, access.MQTT)
		if got := code(g.Authorize(&access.Origin{Role: access.Host, Channel: access.UART}, "X")); got != 0 && !empty && !others {
			t.Errorf("%q %q: host: %d", c.inline, c.file, got)
		}
		if n := strings.Count(log.String(), "the rules cannot be read"); n != 1 && !c.good && !empty || n != 0 && c.good {
			t.Errorf("%q %q: logged %d times", c.inline, c.file, n)
		}
	}
}

// TestRulesChange: other rules hold from the next request on, and those of another
// file a second later. A file is read once a second.
func TestRulesChange(t *testing.T) {
	const allow, deny = `[{"method":"X","acl":"*"}]`, `[{"method":"X","acl":"-*"}]`
	synctest.Test(t, func(t *testing.T) {
		inline, file, reads := "", allow, 0
		g := newGate(t, access.Config{Rules: func() (string, string) { return inline, "" }, ReadFile: func(string) ([]byte, error) {
			if reads++; file == "" {
				return nil, errors.New("no such file")
			}
			return []byte(file), nil
		}})
		for i, c := range []struct {
			inline, file string
			pause        time.Duration
			want, reads  int
		}{
			{"", allow, 0, 0, 0}, {deny, allow, 0, 403, 0}, {deny, allow, time.Hour, 403, 0}, {allow, deny, 0, 0, 0},
			{"@f", allow, 0, 0, 1}, {"@f", deny, 999 * time.Millisecond, 0, 1}, {"@f", deny, time.Millisecond, 403, 2},
			{"@f", "", 999 * time.Millisecond, 403, 2}, {"@f", "", time.Millisecond, 403, 3}, {"@f", allow, 0, 403, 3}, {"@f", allow, time.Second, 0, 4},
			{"@f", "?", time.Second, 403, 5}, {"@f", allow, time.Second, 0, 6}, {"@g", allow, 0, 0, 7}, {"?", allow, 0, 403, 7}, {allow, "", 0, 0, 7}, {"", "", 0, 0, 7},
		} {
			time.Sleep(c.pause)
			inline, file = c.inline, c.file
			got := code(g.Authorize(&access.Origin{Role: access.Cloud, Channel: access.MQTT}, "X"))
			if got != c.want || reads != c.reads {
				t.Errorf("step %d, %q: %d, read %d times; want %d, %d times", i, c.inline, got, reads, c.want, c.reads)
			}
		}
	})
}

// TestRulesParsed: a text is understood once, good or bad.
func TestRulesParsed(t *testing.T) {
	for _, text := range []string{`[{"method":"X","acl":"*"}]`, `[{"method":"X"}]`} {
		g := newGate(t, access.Config{Rules: func() (string, string) { return text, "" }})
		o := &access.Origin{Role: access.Cloud, Channel: access.MQTT}
		g.Authorize(o, "X")
		if n := testing.AllocsPerRun(100, func() { g.Authorize(o, "X") }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		text := []byte(`[` + strings.Repeat(`{"method":"X","acl":"*"},`, 200) + `{"method":"X","acl":"*"}]`)
		g := newGate(t, access.Config{Rules: func() (string, string) { return "@f", "" }, ReadFile: func(string) ([]byte, error) { return text, nil }})
		o := &access.Origin{Role: access.Cloud, Channel: access.MQTT}
		g.Authorize(o, "X")
		if n := testing.AllocsPerRun(10, func() { time.Sleep(time.Second); g.Authorize(o, "X") }); n > 20 {
			t.Errorf("%v allocations to read the same file again", n)
		}
	})
}

// TestRulesBadUser: rules that cannot be read shut the window, too.
func TestRulesBadUser(t *testing.T) {
	g := newGate(t, access.Config{Rules: func() (string, string) { return "?", "" }, Window: func() bool { return true }})
	for _, role := range []access.Role{access.User, access.LAN, access.Cloud, access.Nobody} {
		if err := g.Authorize(&access.Origin{Role: role, Channel: access.HTTP, User: "admin"}, "RPC.List"); code(err) != 403 {
			t.Errorf("%v: %v", role, err)
		}
	}
	if err := g.Authorize(nil, "RPC.List"); err != nil {
		t.Errorf("the program: %v", err)
	}
}

// TestRulesLog: a fault is told once, and again after it was mended.
func TestRulesLog(t *testing.T) {
	var log bytes.Buffer
	text := ""
	g := newGate(t, access.Config{Rules: func() (string, string) { return text, "" }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, text = range []string{"?", "?", "[]", "?", "[]", "{}", "@x", "@x"} {
		g.Authorize(&access.Origin{Role: access.Cloud}, "X")
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 4 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	synctest.Test(t, func(t *testing.T) {
		log.Reset()
		text = "@x" // which is read again and again
		g := newGate(t, access.Config{Rules: func() (string, string) { return text, "" }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for range 10 {
			g.Authorize(&access.Origin{Role: access.Cloud}, "X")
			time.Sleep(time.Minute)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("a file that cannot be read: told %d times", n)
		}
	})
	newGate(t, access.Config{AllowAnonymousLAN: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "AllowAnonymousLAN") {
		t.Error("the switch is not told of")
	}
}

// TestWindowRegistered: a method of the program is not the module's of that name.
func TestWindowRegistered(t *testing.T) {
	g := newGate(t, access.Config{Window: func() bool { return true }, Kind: func(string) access.Kind { return access.Registered },
		Allow: []access.Entry{{Method: "*", Roles: []access.Role{access.User, access.LAN}}}})
	if err := g.Authorize(&access.Origin{Role: access.User}, "Wifi.Scan"); code(err) != 403 {
		t.Error(err)
	}
}

// TestAllowRoles: an entry that does not name LAN lists nothing for it.
func TestAllowRoles(t *testing.T) {
	for _, c := range []struct {
		roles []access.Role
		want  int
	}{{nil, 403}, {[]access.Role{access.User, access.Cloud}, 403}, {[]access.Role{access.User, access.LAN}, 0}} {
		g := newGate(t, access.Config{Kind: kinds, Allow: []access.Entry{{Method: "own.*", Roles: c.roles}}})
		if err := g.Authorize(&access.Origin{Role: access.LAN, User: "admin"}, "Own.New"); code(err) != c.want {
			t.Errorf("%v: %v", c.roles, err)
		}
	}
}

// TestEmptyFile: a file of passwords without any locks programs on this machine
// out, too; so does one that cannot be read.
func TestEmptyFile(t *testing.T) {
	for _, c := range []struct {
		name string
		file func() ([]byte, error)
		want int
	}{
		{"no function", nil, 0},
		{"no file", func() ([]byte, error) { return nil, nil }, 0},
		{"empty", func() ([]byte, error) { return []byte{}, nil }, 401},
		{"unreadable", func() ([]byte, error) { return nil, errors.New("no") }, 401},
	} {
		g := newGate(t, access.Config{Login: access.NewLogin(access.LoginConfig{File: c.file})})
		if err := g.Authorize(&access.Origin{Role: access.LAN, Remote: "[::1]:5"}, "RPC.List"); code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestContext: a handler finds who calls.
func TestContext(t *testing.T) {
	o := &access.Origin{Role: access.LAN}
	if access.FromContext(access.NewContext(t.Context(), o)) != o || access.FromContext(context.Background()) != nil {
		t.Error("it does not")
	}
}

func TestNames(t *testing.T) {
	if got := fmt.Sprint(access.Nobody, access.Host, access.User, access.LAN, access.Cloud, access.Vendor, access.Role(9)); got != "nobody host user lan cloud vendor unknown" {
		t.Error(got)
	}
	if got := fmt.Sprint(access.MD5, access.SHA256); got != "MD5 SHA-256" {
		t.Error(got)
	}
	if got := (&access.Refusal{Code: 403, Message: "unauthorized"}).Error(); got != "access: unauthorized" {
		t.Error(got)
	}
}

// TestAuthorizeAllocs: a host is let in without an allocation.
func TestAuthorizeAllocs(t *testing.T) {
	g := newGate(t, access.Config{Rules: func() (string, string) { return "", "" }})
	o := &access.Origin{Role: access.Host, Channel: access.UART}
	if n := testing.AllocsPerRun(100, func() { g.Authorize(o, "MQTT.Pub") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheckRules(t *testing.T) {
	for text, good := range map[string]bool{
		"": true, "@file": true, "[]": true, `[{"method":"Sys.*","acl":"*"}]`: true,
		"garbage": false, "{}": false, `[{"method":1}]`: false, `[`: false,
	} {
		if err := access.CheckRules(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}
