package bench

import "encoding/json"

// stdServer is the contender "encodingjson". The request and its buffers are
// reused, so that only encoding/json itself allocates.
type stdServer struct {
	req  stdRequest
	args []int
}

type stdRequest struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

type stdReply struct {
	ID     json.RawMessage `json:"id"`
	Result int             `json:"result"`
}

func (s *stdServer) serve(dst, frame []byte) []byte {
	r := &s.req
	*r = stdRequest{ID: r.ID[:0], Params: r.Params[:0], Result: r.Result[:0], Error: r.Error[:0]}
	if json.Unmarshal(frame, r) != nil || len(r.Result) > 0 || len(r.Error) > 0 {
		return dst
	}
	switch r.Method {
	case "Sum":
		s.args = s.args[:0]
		if json.Unmarshal(r.Params, &s.args) != nil || len(s.args) != 2 {
			return dst
		}
		out, err := json.Marshal(stdReply{ID: r.ID, Result: s.args[0] + s.args[1]})
		if err != nil {
			return dst
		}
		return append(dst, out...)
	}
	return dst
}
