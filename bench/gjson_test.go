package bench

import (
	"strconv"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// gjsonServer is the contender "gjson": the dispatcher that a careful user of
// gjson writes by hand. gjson does not check what it reads, so the frame is
// checked first; then it is asked for the five members that tell what the frame
// is.
type gjsonServer struct {
	notified int
}

func (s *gjsonServer) heard() int { return s.notified }

func (s *gjsonServer) serve(dst, frame []byte) []byte {
	if !gjson.ValidBytes(frame) {
		return dst
	}
	result := gjson.GetBytes(frame, "result")
	failure := gjson.GetBytes(frame, "error")
	id := gjson.GetBytes(frame, "id")
	method := gjson.GetBytes(frame, "method")
	params := gjson.GetBytes(frame, "params")
	if result.Exists() || failure.Exists() {
		return dst
	}
	switch method.Str {
	case "Sum":
		a, b := params.Get("0"), params.Get("1")
		if a.Type != gjson.Number || b.Type != gjson.Number {
			return appendFailure(dst, id, -32602, "bad params")
		}
		dst = appendResultHead(dst, id)
		dst = strconv.AppendInt(dst, a.Int()+b.Int(), 10)
		return append(dst, '}')
	case "Echo":
		dst = appendResultHead(dst, id)
		dst = append(dst, params.Raw...)
		return append(dst, '}')
	case "Shadow.Delta":
		if params.Get("on").Type == gjson.True {
			s.notified++
		}
		return dst
	case "Shadow.Report", "MQTT.Pub":
		s.notified++
		return dst
	case "Config.Set":
		dst = appendResultHead(dst, id)
		return append(dst, "null}"...)
	}
	return appendFailure(dst, id, -32601, "method not found")
}

func appendResultHead(dst []byte, id gjson.Result) []byte {
	dst = append(dst, `{"id":`...)
	dst = append(dst, id.Raw...)
	return append(dst, `,"result":`...)
}

func appendFailure(dst []byte, id gjson.Result, code int64, message string) []byte {
	if !id.Exists() {
		return dst
	}
	dst = append(dst, `{"id":`...)
	dst = append(dst, id.Raw...)
	dst = append(dst, `,"error":{"code":`...)
	dst = strconv.AppendInt(dst, code, 10)
	dst = append(dst, `,"message":`...)
	dst = gjson.AppendJSONString(dst, message)
	return append(dst, "}}"...)
}

// sjsonMerge is the contender "sjson": b merged into a, one member after the
// other. Objects that both have are merged by themselves and set as a whole,
// which is faster than setting their members by path in the large document.
// The names need no escaping, or each would have to go through gjson.Escape.
func sjsonMerge(a, b []byte) (merged []byte, err error) {
	merged = a
	gjson.ParseBytes(b).ForEach(func(key, value gjson.Result) bool {
		if value.Type == gjson.Null {
			merged, err = sjson.DeleteBytes(merged, key.Str)
			return err == nil
		}
		raw := []byte(value.Raw)
		if value.IsObject() {
			if old := gjson.GetBytes(merged, key.Str); old.IsObject() {
				if raw, err = sjsonMerge([]byte(old.Raw), raw); err != nil {
					return false
				}
			}
		}
		merged, err = sjson.SetRawBytes(merged, key.Str, raw)
		return err == nil
	})
	return merged, err
}
