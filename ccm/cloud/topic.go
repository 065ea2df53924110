package cloud

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/internal/topic"
)

// The longest topic or topic filter that is let through, and the most levels it
// may have. MQTT permits 65535 bytes; brokers disconnect clients for less, and
// for more than about 200 levels.
const (
	MaxTopic  = 1024
	MaxLevels = 128
)

// ErrTopic is wrapped by the errors for topics and topic filters that are not
// sent, because the broker might close the connection.
var ErrTopic = errors.New("cloud: invalid topic")

// ValidTopic reports why a topic cannot be published to, as an error that wraps
// [ErrTopic], or nil (MQTT 3.1.1, sections 1.5.3 and 4.7): it must be UTF-8 of 1
// to MaxTopic bytes and at most MaxLevels levels, without wildcards, control
// characters and other code points for which a broker may close the connection.
// strict refuses white space too, as brokers built on NATS do.
func ValidTopic(name string, strict bool) error {
	if strings.ContainsAny(name, "+#") {
		return fmt.Errorf("%w: it has a wildcard", ErrTopic)
	}
	return validText(name, strict)
}

// ValidFilter is [ValidTopic] for topic filters: + stands for a whole level, #
// for the last ones. A shared subscription, $share/NAME/FILTER, needs a name and
// a filter.
func ValidFilter(filter string) error { return validFilter(filter, false) }

func validFilter(filter string, strict bool) error {
	if err := validText(filter, strict); err != nil {
		return err
	}
	rest := filter
	if filter == "$share" || strings.HasPrefix(filter, "$share/") {
		name, shared, _ := strings.Cut(strings.TrimPrefix(filter[len("$share"):], "/"), "/")
		if name == "" || shared == "" || strings.ContainsAny(name, "+#") {
			return fmt.Errorf("%w: a shared subscription is $share/NAME/FILTER", ErrTopic)
		}
		rest = shared
	}
	if !topic.GoodWildcards(rest) {
		return fmt.Errorf("%w: a wildcard must be a level of its own, # the last one", ErrTopic)
	}
	return nil
}

// validText checks what topics and filters have in common.
func validText(s string, strict bool) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: it is empty", ErrTopic)
	case len(s) > MaxTopic:
		return fmt.Errorf("%w: %d bytes, at most %d are possible", ErrTopic, len(s), MaxTopic)
	case strings.Count(s, "/") >= MaxLevels:
		return fmt.Errorf("%w: more than %d levels", ErrTopic, MaxLevels)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: it is not UTF-8", ErrTopic)
	case !topic.ValidRunes(s):
		return fmt.Errorf("%w: it has a control character or a code point that is none", ErrTopic)
	case strict && strings.ContainsFunc(s, unicode.IsSpace):
		return fmt.Errorf("%w: it has white space", ErrTopic)
	}
	return nil
}

// validReceived reports whether a server may send a message with this topic.
func validReceived(topic string) bool {
	return topic != "" && utf8.ValidString(topic) && !strings.ContainsAny(topic, "\x00+#")
}

// Match reports whether a topic filter matches the name of a topic (MQTT 3.1.1, section
// 4.7). A wildcard at the start does not match topics that begin with $. Of a
// shared subscription, the filter behind the name counts. Both must be valid.
func Match(filter, name string) bool {
	if shared, is := strings.CutPrefix(filter, "$share/"); is {
		_, filter, _ = strings.Cut(shared, "/")
	}
	return topic.Match(filter, name)
}

// validString reports whether a text can be sent in CONNECT.
func validString(s string) bool { return utf8.ValidString(s) && topic.ValidRunes(s) }
