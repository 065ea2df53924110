package topic

import "strings"

// Match reports whether a filter matches a topic; both must be valid. A wildcard
// at the start does not match topics that begin with $.
func Match(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		level, frest, fmore := strings.Cut(filter, "/")
		if level == "#" {
			return true
		}
		name, trest, tmore := strings.Cut(topic, "/")
		if level != "+" && level != name {
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

// GoodWildcards reports whether the wildcards of a filter stand where they may:
// each is a level of its own, and # is the last one.
func GoodWildcards(filter string) bool {
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if strings.ContainsAny(level, "+#") && len(level) > 1 || level == "#" && more {
			return false
		}
	}
	return true
}

// ValidRunes reports whether UTF-8 text has only code points that a receiver must
// accept (MQTT 3.1.1, section 1.5.3).
func ValidRunes(s string) bool {
	for _, r := range s {
		switch {
		case r < 0x20, 0x7f <= r && r < 0xa0, r&0xfffe == 0xfffe, 0xfdd0 <= r && r <= 0xfdef:
			return false
		}
	}
	return true
}
