package host

import (
	"strings"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/internal/topic"
)

// maxTopic is the longest topic in bytes that this library lets through.
const maxTopic = 1024

// validTopic reports whether a topic can be published to (MQTT 3.1.1, section
// 4.7): UTF-8 without NUL, not empty, without wildcards.
func validTopic(name string) bool {
	return validFilter(name) && !strings.ContainsAny(name, "+#")
}

// validFilter reports whether a topic filter can be subscribed to: a wildcard
// stands for a whole level, # for the last one.
func validFilter(filter string) bool {
	if filter == "" || len(filter) > maxTopic || !utf8.ValidString(filter) || strings.IndexByte(filter, 0) >= 0 {
		return false
	}
	return topic.GoodWildcards(filter)
}
