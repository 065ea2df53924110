package service

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
)

// Limits of a request.
const (
	maxToken = 64 // bytes of a decoded clientToken
	maxDepth = 6  // containers nested in a section
)

// request is the payload of a request.
type request struct {
	token    []byte // the JSON string as it was sent; nil without one
	version  int64  // -1 without one
	state    []byte // without white space
	desired  []byte // part of state; nil if it is not to be changed, null to clear it
	reported []byte
}

// parseRequest reads a payload. It keeps no reference to it. The token is there
// also beside a refusal, if one was found before.
func parseRequest(op operation, payload []byte) (request, *shadow.Error) {
	r := request{version: -1}
	if !utf8.Valid(payload) {
		return r, notUTF8()
	}
	if op != opUpdate && len(bytes.Trim(payload, " \t\r\n")) == 0 {
		return r, nil
	}
	if err := checkJSON(payload); err != nil {
		return r, err
	}
	m := findMembers(payload)
	if refused := r.setToken(m.token); refused != nil || op != opUpdate {
		return r, refused
	}
	if refused := r.setState(m.state); refused != nil {
		return r, refused
	}
	return r, r.setVersion(m.version)
}

// checkJSON refuses what is not a JSON object.
func checkJSON(payload []byte) *shadow.Error {
	if !jsonrpc.Valid(payload) {
		_, err := mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}.Scan(payload, nil)
		if errors.Is(err, mjson.ErrDepth) {
			return badRequest(tooDeep)
		}
		return badRequest(invalidJSON)
	}
	if bytes.TrimLeft(payload, " \t\r\n")[0] != '{' {
		return badRequest(invalidJSON)
	}
	return nil
}

// members are the members of a payload that mean something. Of equal ones the
// last counts.
type members struct {
	token, version, state mjson.Value
}

func findMembers(payload []byte) (m members) {
	for name, value := range (mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}).Children(payload) {
		switch key, _ := name.Text(); key {
		case "clientToken":
			m.token = value
		case "version":
			m.version = value
		case "state":
			m.state = value
		}
	}
	return m
}

// absent reports whether a member is missing or null.
func absent(v mjson.Value) bool { return !v.Exists() || v.Type() == mjson.Null }

func (r *request) setToken(v mjson.Value) *shadow.Error {
	if absent(v) {
		return nil
	}
	if text, is := v.Text(); !is || len(text) > maxToken {
		return badRequest(invalidToken)
	}
	r.token = bytes.Clone(v.Raw)
	return nil
}

func (r *request) setVersion(v mjson.Value) *shadow.Error {
	if absent(v) {
		return nil
	}
	n, is := v.Int()
	if !is || n < 0 {
		return badRequest(invalidVersion)
	}
	r.version = n
	return nil
}

// setState takes the state apart. A state of null clears both sections.
func (r *request) setState(v mjson.Value) *shadow.Error {
	if !v.Exists() {
		return badRequest(noState)
	}
	state, err := mjson.Pretty(nil, v.Raw, "")
	if err != nil {
		return badRequest(tooDeep)
	}
	r.state = state
	switch v.Type() {
	case mjson.Null:
		r.desired, r.reported = state, state
		return nil
	case mjson.Object:
	default:
		return badRequest(stateNoObject)
	}
	for name, section := range mjson.Children(state) {
		refused := badRequest(invalidNode)
		switch key, _ := name.Text(); key {
		case "desired":
			r.desired, refused = section.Raw, checkSection(section, desiredNoObject)
		case "reported":
			r.reported, refused = section.Raw, checkSection(section, reportedNoObject)
		}
		if refused != nil {
			return refused
		}
	}
	return nil
}

// checkSection refuses a section that is neither an object nor null, and what
// AWS does not store: deep nesting, and null in arrays.
func checkSection(section mjson.Value, noObject string) *shadow.Error {
	switch section.Type() {
	case mjson.Null:
		return nil
	case mjson.Object:
	default:
		return badRequest(noObject)
	}
	if _, err := (mjson.Scanner{MaxDepth: 1 + maxDepth}).Scan(section.Raw, nil); err != nil {
		return badRequest(tooDeep)
	}
	if hasNullElement(section) {
		return badRequest(invalidNode)
	}
	return nil
}

// hasNullElement reports whether an array in a value has null as an element.
func hasNullElement(v mjson.Value) bool {
	if t := v.Type(); t != mjson.Object && t != mjson.Array {
		return false
	}
	for _, child := range mjson.Children(v.Raw) {
		if child.Type() == mjson.Null && v.Type() == mjson.Array || hasNullElement(child) {
			return true
		}
	}
	return false
}
