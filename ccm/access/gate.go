package access

import (
	"log/slog"
	"slices"

	"github.com/ccmkit/ccmkit/internal/acl"
)

// Kind says what stands behind the name of a method.
type Kind uint8

// The kinds of methods.
const (
	Builtin    Kind = iota // the module's own
	Registered             // added by the embedding program
	HostMethod             // of a host: NAME/METHOD, host/METHOD, or one that falls through to the host
	Unknown                // there is no such method
)

// Entry lists methods of the embedding program.
type Entry struct {
	Method string // a pattern
	Roles  []Role // that may call it: LAN, after the login. User never may.
}

// Config describes a [Gate]. The zero Config has the rules of the package and lets
// nobody log in.
type Config struct {
	// Rules returns rpc.acl and rpc.acl_file, both "" if they are not set. It is
	// called for every request. nil = neither.
	Rules func() (inline, file string)
	// ReadFile reads a file of rules, once a second at most, while requests come.
	// It bounds their length.
	ReadFile func(name string) ([]byte, error)
	// Login is how people log in. nil = nobody can.
	Login *Login
	// Window reports whether the provisioning window is open. nil = it is not.
	Window func() bool
	// Allow lists the methods of the program that LAN may call.
	Allow []Entry
	// AllowAnonymousLAN demands no login of LAN.
	AllowAnonymousLAN bool
	// Kind tells what a method is. nil = all are Builtin.
	Kind func(method string) Kind
	// Logger is told of rules that cannot be read, and of roles of the house that
	// are switched off. nil = nobody.
	Logger *slog.Logger
}

// Gate decides who may call what.
type Gate struct {
	cfg   Config
	pace  pace // of the callers through the window
	saves pace // of those among them that save
	rules ruleCache
}

// New returns a Gate.
func New(cfg Config) (*Gate, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.AllowAnonymousLAN {
		cfg.Logger.Warn("anybody on the network may call: AllowAnonymousLAN is set")
	}
	return &Gate{
		cfg:   cfg,
		pace:  pace{max: windowRequests, per: windowTime},
		saves: pace{max: windowSaves, per: saveTime},
	}, nil
}

// Authorize decides whether a request may be served, and counts it where there is a
// limit. It is asked once for a request, and again after a login. The error is a
// [*Refusal]: with 401 a login would help, with 403 nothing would, with 429 time
// would. A nil Origin is the embedding program.
func (g *Gate) Authorize(o *Origin, method string) error {
	if r := g.decide(o, method); r != nil {
		return r
	}
	if o != nil && o.Role == User {
		if !g.pace.take(remoteHost(o.Remote)) || method == "Config.Save" && !g.saves.take(remoteHost(o.Remote)) {
			return errTooOften
		}
	}
	return nil
}

// Listed reports whether a method may be called by somebody, possibly after a login.
// It counts nothing.
func (g *Gate) Listed(o *Origin, method string) bool {
	r := g.decide(o, method)
	return r == nil || r.Code == CodeUnauthorized && g.cfg.Login != nil
}

// MaySave counts a Config.Set that saves, too, which is a Config.Save to whoever
// limits them. It returns a *Refusal if there were too many.
func (g *Gate) MaySave(o *Origin) error {
	if o != nil && o.Role == User && !g.saves.take(remoteHost(o.Remote)) {
		return errTooOften
	}
	return nil
}

// decide decides without counting.
func (g *Gate) decide(o *Origin, method string) *Refusal {
	switch {
	case o == nil || o.Role == Vendor:
		return nil
	case o.Role == User && !g.window(method):
		return errDenied // whatever the rules say
	case o.Role != Host && o.Role != User && o.Role != LAN && o.Role != Cloud:
		return errDenied
	}
	switch set, state := g.ruleSet(); state {
	case rulesBad:
		if o.Channel == UART {
			return nil
		}
		return errDenied
	case rulesSet:
		return set.decide(o, method)
	}
	if o.Role == LAN {
		return g.lan(o, method)
	}
	return nil
}

// windowMethods are what an end user may call (spec/security.md 4.2).
var windowMethods = [...]string{
	"RPC.List", "RPC.Ping", "Sys.GetInfo", "Wifi.Scan", "Config.Get", "Config.Set", "Config.Save",
}

// window reports whether end users may call a method now.
func (g *Gate) window(method string) bool {
	return g.cfg.Window != nil && g.cfg.Window() && slices.Contains(windowMethods[:], method) && g.kind(method) == Builtin
}

// kind returns what a method is.
func (g *Gate) kind(method string) Kind {
	if g.cfg.Kind == nil {
		return Builtin
	}
	return g.cfg.Kind(method)
}

// lan decides for a client on the network.
func (g *Gate) lan(o *Origin, method string) *Refusal {
	if o.User == "" && !g.cfg.AllowAnonymousLAN && !(o.Loopback() && !g.cfg.Login.configured()) {
		return errLoginNeeded
	}
	if g.kind(method) != Registered {
		return nil
	}
	for _, e := range g.cfg.Allow {
		if acl.Match(e.Method, method) && slices.Contains(e.Roles, LAN) {
			return nil
		}
	}
	return errDenied
}

// neverLAN are keys that clients on the network cannot set (rulings D4).
const neverLAN = "-update.key*,-update.ed_key*,-update.sig_req_mask,-update.allow_*,-update.min_version,*"

// windowKeys are the keys that an end user may set (spec/security.md 4.2).
const windowKeys = "wifi.sta.*,wifi.sta1.*,wifi.sta2.*"

// ConfigACL returns what of the configuration somebody may set, beside what conf_acl
// says: a list as conf_acl has it.
func (g *Gate) ConfigACL(o *Origin) string {
	switch {
	case o == nil || o.Role == Vendor:
		return "*"
	case o.Role == User:
		return windowKeys
	case o.Role == LAN:
		return neverLAN
	case o.Role == Host || o.Role == Cloud:
		return "*"
	}
	return ""
}
