package fwbundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// ParsePart reads a part as the command line of the tool takes it:
//
//	name:key=value,key=value,...
//
// The name ends at the first colon. A value is a string in single or double quotes,
// true, false, an integer as in Go source (0x and 0 in front, minus) that fits 32
// bits, or else a string as it is; commas end a value even in quotes. An empty pair
// ends the list. Of two pairs with one key the later one counts. Members that the
// tool knows must have the right type: so an address of 0x80000000 or more, which
// it takes as a string, is refused.
func ParsePart(spec string) (*Part, error) {
	name, pairs, found := strings.Cut(spec, ":")
	if !found {
		return nil, specError(spec, errors.New("want name:key=value and so on"))
	}
	if !utf8.ValidString(spec) {
		return nil, specError(spec, errors.New("not UTF-8"))
	}
	p := &Part{Name: name}
	for pair := range strings.SplitSeq(pairs, ",") {
		if pair == "" {
			break
		}
		key, text, found := strings.Cut(pair, "=")
		if !found {
			return nil, specError(spec, fmt.Errorf("%q is no key=value", pair))
		}
		value, err := parseValue(text)
		if err == nil {
			err = p.assign(key, value)
		}
		if err != nil {
			return nil, specError(spec, memberError(key, err))
		}
	}
	return p, nil
}

func specError(spec string, err error) error {
	return fmt.Errorf("fwbundle: part %.80q: %w", spec, err)
}

// parseValue returns the value of a pair as JSON.
func parseValue(text string) (json.RawMessage, error) {
	switch {
	case text == "true" || text == "false":
		return json.RawMessage(text), nil
	case text != "" && (text[0] == '\'' || text[0] == '"'):
		quote := text[:1]
		if len(text) < 2 || !strings.HasSuffix(text, quote) {
			return nil, errors.New("no quote at the end")
		}
		return json.Marshal(strings.ReplaceAll(text[1:len(text)-1], `\`+quote, quote))
	}
	return number(text, 32)
}

// number returns an integer of a number of bits, or else a string, as JSON.
func number(text string, bits int) (json.RawMessage, error) {
	if n, err := strconv.ParseInt(text, 0, bits); err == nil {
		return strconv.AppendInt(nil, n, 10), nil
	}
	return json.Marshal(text)
}

// assign sets a member of a part. Digests may have any length: they are compared
// with the data.
func (p *Part) assign(key string, value json.RawMessage) error {
	switch key {
	case "cs_sha1":
		return setString(&p.SHA1, value)
	case "cs_sha256":
		return setString(&p.SHA256, value)
	}
	if i := knownAttrs.index(key); i < len(knownAttrs) {
		if err := knownAttrs[i].kind.check(value); err != nil {
			return err
		}
	}
	before := len(p.Attrs)
	if err := p.set(key, value); err != nil {
		return err
	}
	for i := range p.Attrs[:before] {
		if p.Attrs[i].Name == key {
			p.Attrs[i].Value, p.Attrs = value, p.Attrs[:before]
			break
		}
	}
	return nil
}

// check refuses values of another type.
func (k attrKind) check(value json.RawMessage) error {
	v := mjson.Value{Raw: value}
	is, err := true, errNotString
	switch k {
	case kindUint32:
		return setUint(new(uint32), value)
	case kindInt:
		_, is = v.Int()
		err = errNotInteger
	case kindBool:
		_, is = v.Bool()
		err = errNotBool
	case kindString:
		is = v.Type() == mjson.String
	}
	if !is {
		return err
	}
	return nil
}

// ParseAttr reads an attribute of the manifest or of the extra record as the
// command line of the tool takes it: key=value, where value is true, false, an
// integer as in Go source that fits 64 bits, or else a string as it is.
func ParseAttr(pair string) (Attr, error) {
	key, text, found := strings.Cut(pair, "=")
	if !found || !utf8.ValidString(pair) {
		return Attr{}, fmt.Errorf("fwbundle: attribute %.80q: want key=value in UTF-8", pair)
	}
	if text == "true" || text == "false" {
		return Attr{key, json.RawMessage(text)}, nil
	}
	value, err := number(text, 64)
	return Attr{key, value}, err
}
