package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ccmkit/ccmkit/internal/acl"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// Limits of rules.
const (
	maxRules     = 256
	maxRulesText = 64 << 10 // bytes
)

// rule is an object of rpc.acl.
type rule struct {
	method, channel string // "" = any
	acl             string
}

// ruleSet is a text of rpc.acl that was read.
type ruleSet []rule

// rulesState says whether there are rules.
type rulesState uint8

const (
	rulesUnset rulesState = iota
	rulesSet
	rulesBad // there are, but they cannot be read
)

// Errors of rules.
var (
	errBothRules = errors.New("access: rpc.acl and rpc.acl_file are both set")
	errNoReader  = errors.New("access: Config.ReadFile is not set")
	errNotArray  = errors.New("access: rpc.acl is not a JSON array of objects")
)

// ruleSet returns the rules of now. They are read again when their text or the name
// of their file changes, and until they could be read.
func (g *Gate) ruleSet() (ruleSet, rulesState) {
	if g.cfg.Rules == nil {
		return nil, rulesUnset
	}
	inline, file := g.cfg.Rules()
	if inline == "" && file == "" {
		return nil, rulesUnset
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if source := [2]string{inline, file}; !g.read || g.source != source {
		set, err := g.load(inline, file)
		if err != nil {
			if text := err.Error(); text != g.told {
				g.told = text
				g.cfg.Logger.Error("nobody may call: the rules cannot be read", "err", err)
			}
			g.read = false
			return nil, rulesBad
		}
		g.rules, g.source, g.read, g.told = set, source, true, ""
	}
	return g.rules, rulesSet
}

// load reads the rules.
func (g *Gate) load(inline, file string) (ruleSet, error) {
	switch {
	case inline != "" && file != "":
		return nil, errBothRules
	case strings.HasPrefix(inline, "@"):
		file = inline[1:]
	case inline != "":
		return parseRules([]byte(inline))
	}
	if g.cfg.ReadFile == nil {
		return nil, errNoReader
	}
	text, err := g.cfg.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("access: %s: %w", file, err)
	}
	set, err := parseRules(text)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return set, err
}

// parseRules reads the text of rules.
func parseRules(text []byte) (ruleSet, error) {
	if len(text) > maxRulesText || !jsonrpc.Valid(text) {
		return nil, errNotArray
	}
	var objects []map[string]json.RawMessage
	if err := json.Unmarshal(text, &objects); err != nil || objects == nil {
		return nil, errNotArray
	}
	if len(objects) > maxRules {
		return nil, fmt.Errorf("access: more than %d rules", maxRules)
	}
	set := make(ruleSet, 0, len(objects))
	for i, o := range objects {
		r, err := parseRule(o)
		if err != nil {
			return nil, fmt.Errorf("access: rule %d: %w", i, err)
		}
		set = append(set, r)
	}
	return set, nil
}

// parseRule reads one object.
func parseRule(o map[string]json.RawMessage) (r rule, err error) {
	for key, to := range map[string]*string{"method": &r.method, "ch_type": &r.channel, "acl": &r.acl} {
		if raw, is := o[key]; is && json.Unmarshal(raw, to) != nil {
			return r, fmt.Errorf("%s is not a string", key)
		}
	}
	switch _, has := o["acl"]; {
	case !has:
		return r, errors.New("there is no acl")
	case r.method == "" && r.channel == "":
		return r, errors.New("there is neither method nor ch_type")
	}
	return r, nil
}

// decide decides by the first rule that is about a request.
func (set ruleSet) decide(o *Origin, method string) *Refusal {
	for _, r := range set {
		if r.channel != "" && r.channel != o.Channel || r.method != "" && !acl.Match(r.method, method) {
			continue
		}
		switch {
		case r.acl == "*" || r.acl == "+*":
			return nil
		case r.acl == "-*":
			return errDenied
		case o.User == "":
			return errLoginNeeded
		case acl.Allows(r.acl, o.User):
			return nil
		}
		return errDenied
	}
	return errDenied
}
