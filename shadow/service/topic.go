package service

import "strings"

// Limits of the names in topics. Letters, digits, colon, underscore and hyphen
// are allowed.
const (
	maxThingName  = 128 // bytes
	maxShadowName = 64
)

// maxTopic is the longest request topic, in bytes, that is answered.
const maxTopic = 1024

// filters are the topics of requests.
var filters = []string{
	"$aws/things/+/shadow/get",
	"$aws/things/+/shadow/update",
	"$aws/things/+/shadow/delete",
	"$aws/things/+/shadow/name/+/get",
	"$aws/things/+/shadow/name/+/update",
	"$aws/things/+/shadow/name/+/delete",
}

// operation is the last level of a request topic.
type operation string

const (
	opGet    operation = "get"
	opUpdate operation = "update"
	opDelete operation = "delete"
)

// id names a shadow. The name of the classic one is empty.
type id struct {
	thing, name string
}

// valid reports whether the names are allowed.
func (i id) valid() bool {
	return validName(i.thing, maxThingName) && (i.name == "" || validName(i.name, maxShadowName))
}

// shadow returns the name by which error messages call the shadow.
func (i id) shadow() string {
	if i.name == "" {
		return i.thing
	}
	return i.name
}

// topic returns the request topic of an operation.
func (i id) topic(op operation) string {
	if i.name == "" {
		return "$aws/things/" + i.thing + "/shadow/" + string(op)
	}
	return "$aws/things/" + i.thing + "/shadow/name/" + i.name + "/" + string(op)
}

// parseTopic takes a request topic apart. The names are not checked, but a
// named shadow has a name. The strings are part of topic.
func parseTopic(topic string) (i id, op operation, ok bool) {
	rest, isAWS := strings.CutPrefix(topic, "$aws/things/")
	thing, rest, found := strings.Cut(rest, "/")
	rest, isShadow := strings.CutPrefix(rest, "shadow/")
	if !isAWS || !found || !isShadow {
		return id{}, "", false
	}
	i.thing = thing
	if named, is := strings.CutPrefix(rest, "name/"); is {
		i.name, rest, found = strings.Cut(named, "/")
		if !found || i.name == "" {
			return id{}, "", false
		}
	}
	switch op = operation(rest); op {
	case opGet, opUpdate, opDelete:
		return i, op, true
	}
	return id{}, "", false
}

// validName reports whether a name has 1 to limit bytes, all of them allowed.
func validName(name string, limit int) bool {
	for _, c := range []byte(name) {
		if !isLetter(c|0x20) && (c < '0' || c > '9') && c != ':' && c != '_' && c != '-' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= limit
}

// isLetter reports whether c is a lower-case letter of ASCII.
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }
