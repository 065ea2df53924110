package jsonrpc

import (
	"strconv"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// The functions below append one frame, without a line end, to dst and return
// the extended slice. They allocate only when dst is too small, and keep
// nothing. id, params, result and data are JSON text that the caller vouches
// for; method and message are plain text and are quoted. An empty result stands
// for null, empty params and empty data are left out.

// AppendRequest appends {"id":ID,"method":METHOD,"params":PARAMS}.
func AppendRequest(dst, id []byte, method string, params []byte) []byte {
	dst = append(append(dst, `{"id":`...), id...)
	dst = append(dst, `,"method":`...)
	return appendParams(mjson.AppendQuote(dst, method), params)
}

// AppendNotification appends {"method":METHOD,"params":PARAMS}.
func AppendNotification(dst []byte, method string, params []byte) []byte {
	dst = append(dst, `{"method":`...)
	return appendParams(mjson.AppendQuote(dst, method), params)
}

func appendParams(dst, params []byte) []byte {
	if len(params) > 0 {
		dst = append(append(dst, `,"params":`...), params...)
	}
	return append(dst, '}')
}

// AppendResult appends {"id":ID,"result":RESULT}.
func AppendResult(dst, id, result []byte) []byte {
	dst = appendResultHead(dst, id)
	if len(result) == 0 {
		return append(dst, `null}`...)
	}
	return append(append(dst, result...), '}')
}

func appendResultHead(dst, id []byte) []byte {
	dst = append(append(dst, `{"id":`...), id...)
	return append(dst, `,"result":`...)
}

// AppendError appends {"id":ID,"error":{"code":CODE,"message":MESSAGE}}, with
// "data":DATA inside the error if there is data. An empty id is left out; such
// a frame must never be sent to a host.
func AppendError(dst, id []byte, code int, message string, data []byte) []byte {
	dst = appendErrorHead(dst, id, code)
	return appendErrorTail(mjson.AppendQuote(dst, message), data)
}

func appendErrorHead(dst, id []byte, code int) []byte {
	if len(id) > 0 {
		dst = append(append(dst, `{"id":`...), id...)
		dst = append(dst, `,"error":{"code":`...)
	} else {
		dst = append(dst, `{"error":{"code":`...)
	}
	dst = strconv.AppendInt(dst, int64(code), 10)
	return append(dst, `,"message":`...)
}

func appendErrorTail(dst, data []byte) []byte {
	if len(data) > 0 {
		dst = append(append(dst, `,"data":`...), data...)
	}
	return append(dst, `}}`...)
}
