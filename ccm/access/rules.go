package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

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

// rulesTime is how long the text of a file of rules is taken for what it was.
const rulesTime = time.Second

// ruleCache is what was read of rules last.
type ruleCache struct {
	mu     sync.Mutex
	source [2]string // rpc.acl and rpc.acl_file
	read   time.Time // when they were read, zero: never
	fault  error     // of reading

	text   string // that was understood, or not
	set    ruleSet
	wrong  error
	parsed bool

	told string // the last fault that was logged
}

// ruleSet returns the rules of now. Those of a file may be a second old.
func (g *Gate) ruleSet() (ruleSet, rulesState) {
	if g.cfg.Rules == nil {
		return nil, rulesUnset
	}
	inline, file := g.cfg.Rules()
	if inline == "" && file == "" {
		return nil, rulesUnset
	}
	c := &g.rules
	c.mu.Lock()
	defer c.mu.Unlock()
	source := [2]string{inline, file}
	if c.source != source || c.read.IsZero() || time.Since(c.read) >= rulesTime {
		c.source, c.read = source, time.Now()
		c.fault = g.readRules(inline, file)
		g.tell(c.fault)
	}
	if c.fault != nil {
		return nil, rulesBad
	}
	return c.set, rulesSet
}

// tell logs a fault of the rules, once. The lock of the rules is held.
func (g *Gate) tell(fault error) {
	text := ""
	if fault != nil {
		text = fault.Error()
	}
	if text != "" && text != g.rules.told {
		g.cfg.Logger.Error("nobody may call: the rules cannot be read", "err", fault)
	}
	g.rules.told = text
}

// isInline reports whether rpc.acl is the rules, not the name of their file.
func isInline(acl string) bool { return acl != "" && acl[0] != '@' }

// readRules reads the rules. The lock of the rules is held.
func (g *Gate) readRules(inline, file string) error {
	name := strings.TrimPrefix(inline, "@") + file
	switch {
	case inline != "" && file != "":
		return errBothRules
	case isInline(inline):
		return g.rules.parse(inline)
	case g.cfg.ReadFile == nil:
		return errNoReader
	}
	text, err := g.cfg.ReadFile(name)
	if err != nil {
		return fmt.Errorf("access: %s: %w", name, err)
	}
	if err := g.rules.parse(string(text)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// parse understands a text, unless it is the last one again.
func (c *ruleCache) parse(text string) error {
	if !c.parsed || c.text != text {
		c.set, c.wrong = parseRules([]byte(text))
		c.text, c.parsed = text, true
	}
	return c.wrong
}

// CheckRules returns what is wrong with a value of rpc.acl, or nil: it is for whoever
// sets it, as nobody may call when there are rules that cannot be read. What a file
// holds (@FILE) is not looked at.
func CheckRules(inline string) error {
	if !isInline(inline) {
		return nil
	}
	_, err := parseRules([]byte(inline))
	return err
}

// parseRules reads the text of rules.
func parseRules(text []byte) (ruleSet, error) {
	if len(text) > maxRulesText || !jsonrpc.Valid(text) {
		return nil, errNotArray
	}
	var objects []json.RawMessage
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

// parseRule reads one object. What else it has is ignored, but nothing may stand
// twice: other readers might take the other one.
func parseRule(text json.RawMessage) (r rule, err error) {
	if text[0] != '{' {
		return r, errNotArray
	}
	to := map[string]*string{"method": &r.method, "ch_type": &r.channel, "acl": &r.acl}
	seen := map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.Token() // the brace; the text is valid
	for d.More() {
		name, _ := d.Token()
		key, _ := name.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return r, err
		}
		if seen[key] {
			return r, fmt.Errorf("%.32q stands twice", key)
		}
		seen[key] = true
		if at := to[key]; at != nil && (value[0] != '"' || json.Unmarshal(value, at) != nil) {
			return r, fmt.Errorf("%s is not a string", key)
		}
	}
	switch {
	case !seen["acl"]:
		return r, errors.New("there is no acl")
	case seen["method"] && r.method == "", seen["ch_type"] && r.channel == "":
		return r, errors.New("method or ch_type is empty")
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
