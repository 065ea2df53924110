package config

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/ccmkit/ccmkit/internal/acl"
	"github.com/ccmkit/ccmkit/internal/topic"
)

// CCM returns the keys of a Cloud Communication Module and the rules of its
// network. Embedders add their own keys by [Schema.With].
func CCM() *Schema { return ccmSchema() }

// ccmSchema makes it once: a program may have thousands of stores.
var ccmSchema = sync.OnceValue(func() *Schema {
	keys := make([]Key, len(ccmRows))
	for i, r := range ccmRows {
		keys[i] = Key{Name: r.name, Type: r.typ, Default: r.def, Doc: r.doc,
			Secret: r.typ == String && acl.Allows(ccmSecrets, r.name),
			Expand: slices.Contains(ccmExpanded, r.name),
			Show:   r.name == keyID,
			Check:  ccmCheck(r.name),
		}
	}
	s, err := NewSchema(keys...)
	if err != nil {
		panic("config: the table of keys: " + err.Error())
	}
	return s.WithRules(wifiRule)
})

// The keys that this package reads itself, if the schema has them.
const (
	keyID  = "device.id"
	keyACL = "conf_acl"
)

// ccmSecrets are the keys that are secret (spec/security.md 6, rulings D5).
const ccmSecrets = "wifi.*.pass,wifi.sta*.key,mqtt*.pass,mqtt*.ssl_psk_key,dash.token,azure.cs,device.license," +
	"watson.token,update.extra_http_headers,http.auth_*"

// ccmExpanded are the keys with placeholders (spec/mos-rpc.md 6.1).
var ccmExpanded = []string{keyID, "wifi.ap.ssid", "bt.dev_name", "aws.thing_name",
	"mqtt.will_topic", "mqtt1.will_topic", "debug.stdout_topic", "debug.stderr_topic", "rpc.mqtt.pub_topic", "rpc.mqtt.sub_topic"}

// ccmCheck returns the check of a key's value, or nil.
func ccmCheck(name string) func(string) error {
	switch {
	case acl.Match("wifi.*.ssid", name):
		return longest(32)
	case acl.Match("wifi.*.pass", name):
		return longest(64)
	case name == keyID:
		return topicLevel
	case name == "aws.thing_name":
		return thingName
	case name == "rpc.auth_algo":
		return oneOf("0", "1")
	}
	return nil
}

var errThing = errors.New("must be letters, digits, ':', '_' and '-', at most 128")

// thingName refuses what AWS does not take as the name of a thing. Placeholders (?)
// become digits.
func thingName(name string) error {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_-?"
	if len(name) > 128 || strings.Trim(name, letters) != "" {
		return errThing
	}
	return nil
}

// maxID is the longest device.id, in bytes: that of the name of a thing at AWS.
const maxID = 128

var errID = errors.New("must be at most 128 bytes, without blanks, /, + and #, and with no $ in front, to be a level of topics")

// topicLevel refuses an id that cannot be a level of the topics of the device, with
// which the device would not start.
func topicLevel(id string) error {
	if len(id) > maxID || strings.HasPrefix(id, "$") || strings.ContainsAny(id, "/+#") ||
		strings.ContainsFunc(id, unicode.IsSpace) || !topic.ValidRunes(id) {
		return errID
	}
	return nil
}

// longest refuses more than n bytes.
func longest(n int) func(string) error {
	err := errors.New("too long")
	return func(value string) error {
		if len(value) > n {
			return err
		}
		return nil
	}
}

func oneOf(all ...string) func(string) error {
	err := errors.New("no such choice")
	return func(value string) error {
		if !slices.Contains(all, value) {
			return err
		}
		return nil
	}
}
