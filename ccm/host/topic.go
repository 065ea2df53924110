package host

import (
	"strings"
	"unicode/utf8"
)

// maxTopic is the longest topic in bytes that this library lets through.
const maxTopic = 1024

// validTopic reports whether a topic can be published to (MQTT 3.1.1, section
// 4.7): UTF-8 without NUL, not empty, without wildcards.
func validTopic(topic string) bool {
	return validFilter(topic) && !strings.ContainsAny(topic, "+#")
}

// validFilter reports whether a topic filter can be subscribed to: a wildcard
// stands for a whole level, # for the last one.
func validFilter(filter string) bool {
	if filter == "" || len(filter) > maxTopic || !utf8.ValidString(filter) || strings.IndexByte(filter, 0) >= 0 {
		return false
	}
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if strings.ContainsAny(level, "+#") && len(level) > 1 || level == "#" && more {
			return false
		}
	}
	return true
}

// matchTopic reports whether a filter matches a topic (MQTT 3.1.1, section
// 4.7). A wildcard at the start does not match topics that begin with $.
func matchTopic(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		fl, frest, fmore := strings.Cut(filter, "/")
		if fl == "#" {
			return true
		}
		tl, trest, tmore := strings.Cut(topic, "/")
		if fl != "+" && fl != tl {
			return false
		}
		if !tmore {
			return !fmore || frest == "#"
		}
		if !fmore {
			return false
		}
		filter, topic = frest, trest
	}
}
