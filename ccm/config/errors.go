package config

import (
	"errors"
	"strconv"
)

// Conditions that callers test for. A [*KeyError] wraps one of the first four.
var (
	ErrDenied     = errors.New("config: key may not be set")
	ErrBadType    = errors.New("config: value of another type")
	ErrUnknownKey = errors.New("config: unknown key")
	ErrInvalid    = errors.New("config: unsuitable value")
	// ErrRules is returned by Save for values that do not fit together. The text of
	// the error is that of the rule.
	ErrRules = errors.New("config: values that do not fit together")
	// ErrSyntax is text that is not JSON, nested too deep, or too long.
	ErrSyntax = errors.New("not JSON, nested too deep, or too long")
	// ErrTooLarge is returned when a level would not fit in a file of MaxFile
	// bytes.
	ErrTooLarge = errors.New("config: more than " + strconv.Itoa(MaxFile>>10) + " KiB in one file")
	// ErrNoRootKey is returned by a RootKeyProvider that has no key to give.
	ErrNoRootKey = errors.New("config: no root key")
)

var (
	errNUL         = errors.New("a NUL character")
	errLooksSealed = errors.New("begins like an encrypted value")
	errDuplicate   = errors.New("given twice")
)

// Kind says why a key was refused.
type Kind uint8

// The kinds, and the codes with which the management services answer.
const (
	Denied  Kind = iota + 1 // the key may not be set: 403
	BadType                 // the value is of another type: 400
	Unknown                 // there is no such key: 404
	Invalid                 // the value is unsuitable or given twice, or the text is not JSON: 400
)

// KeyError says which key is to blame and why. Its text does not have the value.
type KeyError struct {
	Key  string // dotted path; "" if the text as a whole is to blame
	Kind Kind
	Want Type  // for BadType: what was wanted, 0 for an object
	Err  error // for Invalid: the reason
}

// Error implements error. The words are those of Mongoose OS where it has some.
func (e *KeyError) Error() string {
	key := "[" + clip(e.Key) + "]"
	switch {
	case e.Kind == Denied:
		return "not allowed to set " + key
	case e.Kind == Unknown:
		return "invalid config key " + key
	case e.Err != nil && e.Key == "":
		return "invalid config value: " + e.Err.Error()
	case e.Err != nil:
		return "invalid config value: " + key + ": " + e.Err.Error()
	case e.Kind == BadType && e.Want == 0:
		return "invalid config value: " + key + " is not an object"
	case e.Kind == BadType && e.Want == Int:
		return "invalid config value: " + key + " is not an integer"
	case e.Kind == BadType:
		return "invalid config value: " + key + " is not a " + e.Want.String()
	}
	return "invalid config value: " + key
}

// Unwrap returns the condition, and the reason if there is one.
func (e *KeyError) Unwrap() []error {
	list := make([]error, 0, 2)
	switch e.Kind {
	case Denied:
		list = append(list, ErrDenied)
	case BadType:
		list = append(list, ErrBadType)
	case Unknown:
		list = append(list, ErrUnknownKey)
	case Invalid:
		list = append(list, ErrInvalid)
	}
	if e.Err != nil {
		list = append(list, e.Err)
	}
	return list
}

// ruleError is the error of a rule.
type ruleError struct{ err error }

func (e *ruleError) Error() string   { return e.err.Error() }
func (e *ruleError) Unwrap() []error { return []error{ErrRules, e.err} }

// clip shortens a name that a caller gave.
func clip(name string) string {
	if len(name) > MaxName {
		return name[:MaxName] + "..."
	}
	return name
}
