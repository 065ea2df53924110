package jsonrpc

import (
	"context"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Engine answers frames without a goroutine, as the C library mjson does, in
// one of its two dialects: [NewEngine] makes the dialect of mjson 1.2 and later
// (HEAD), [NewCCMEngine] that of December 2018, which the CCM manual describes.
// It is meant for small hosts and for playing one.
//
// An Engine takes what mjson takes: JSON by the grammar of [mjson.Scan],
// followed by anything, with an id of any type. Unlike mjson it runs nothing
// before the whole frame was found complete. It reacts to four kinds of frames:
// a response is handed to OnResponse; a request is served, and answered if it
// has an id and the handler answered; anything else is answered by an error
// that quotes it and has no id.
//
// An Engine is not safe for concurrent use, and a handler must not use the
// Engine that runs it.
type Engine struct {
	// Mux holds the handlers; the constructors register the built-in ones.
	Mux Mux
	// OnResponse, if set, is given every frame that holds a result or an
	// error. The frame is valid during the call.
	OnResponse func(frame []byte)
	// EchoLimit bounds how many bytes of a faulty frame its error quotes.
	// 0 quotes the whole frame, as mjson does.
	EchoLimit int
	// MaxLine is the longest line, in bytes without LF, that ProcessByte
	// takes: 0 means 4096. A longer one is discarded up to the next LF.
	MaxLine int

	ccm     bool
	printer mjson.Printer
	msg     Message
	resp    Response
	line    []byte // the line that ProcessByte is reading
	skip    bool   // that line is too long: skip to its end
	tooLong uint64
}

// NewEngine returns an Engine of the HEAD dialect: names are patterns, rpc.list
// is built in.
func NewEngine() *Engine {
	e := &Engine{}
	e.Mux.Handle("rpc.list", ListHandler(&e.Mux))
	return e
}

// SysInfo is what Sys.Info answers in the CCM dialect.
type SysInfo struct {
	FWVersion string // version of the host's application
	Arch      string // "" means unknown_arch
	FWID      string // build date and time, "Nov 24 2018 09:10:27"
	App       string // "" means unknown_app
}

// NewCCMEngine returns an Engine of the CCM dialect: names are exact, Sys.Info
// and RPC.List are built in, %Q writes a slash as \/.
func NewCCMEngine(info SysInfo) *Engine {
	e := &Engine{ccm: true, printer: mjson.Printer{EscapeSlash: true}}
	e.Mux.Exact = true
	e.Mux.Handle("Sys.Info", InfoHandler(info))
	e.Mux.Handle("RPC.List", ListHandler(&e.Mux))
	return e
}

// InfoHandler answers Sys.Info as the library of 2018 did, to the byte.
func InfoHandler(info SysInfo) Handler {
	if info.Arch == "" {
		info.Arch = "unknown_arch"
	}
	if info.App == "" {
		info.App = "unknown_app"
	}
	return In(Immediate, HandlerFunc(func(_ context.Context, w *Response, _ *Request) {
		w.Resultf(`{%Q:%Q, %Q:%Q, %Q:%Q, %Q:%Q}`, "fw_version", info.FWVersion,
			"arch", info.Arch, "fw_id", info.FWID, "app", info.App)
	}))
}

// Handle registers a handler; see [Mux.Handle].
func (e *Engine) Handle(name string, h Handler) { e.Mux.Handle(name, h) }

// HandleFunc registers a function; see [Mux.Handle].
func (e *Engine) HandleFunc(name string, f func(ctx context.Context, w *Response, r *Request)) {
	e.Mux.HandleFunc(name, f)
}

// Process handles one frame, with or without its line end, and appends what is
// to be sent, which ends with LF, to dst. It allocates only when dst is too
// small.
func (e *Engine) Process(ctx context.Context, dst, frame []byte) []byte {
	m := &e.msg
	if !m.parseLenient(frame) {
		return e.appendParseError(dst, frame)
	}
	if m.has(resultMember) || m.has(errorMember) {
		if e.OnResponse != nil {
			e.OnResponse(frame)
		}
		return dst
	}
	if !m.methodIsString() || !e.decodeName(m) {
		return e.appendParseError(dst, frame)
	}
	w := &e.resp
	w.newline, w.printer = true, e.printer
	w.reset(dst, m.ID())
	if h, _ := e.Mux.Lookup(m.Method()); h != nil {
		serve(ctx, h, w, &m.Request)
	} else {
		w.Fail(ErrMethodNotFound)
	}
	dst, w.buf = w.buf, nil
	return dst
}

// decodeName decodes the method and reports whether the dialect takes the name.
// The CCM dialect takes names of 1 to 49 bytes; HEAD takes any, and the raw text
// of one that cannot be decoded.
func (e *Engine) decodeName(m *Message) bool {
	decoded := m.decodeMethod(m.part(methodMember))
	const maxName = 49 // mjson 697a216 decodes into a buffer of 50 bytes
	n := len(m.Method())
	return !e.ccm || decoded && 0 < n && n <= maxName
}

// appendParseError appends the answer to a frame that is not a request.
func (e *Engine) appendParseError(dst, frame []byte) []byte {
	if e.EchoLimit > 0 && len(frame) > e.EchoLimit {
		frame = frame[:e.EchoLimit]
	}
	dst = appendErrorHead(dst, nil, CodeParseError)
	dst, _ = e.printer.Appendf(dst, "%.*Q", len(frame), frame)
	return append(appendErrorTail(dst, nil), '\n')
}

// Callf appends formatted text and LF to dst: a request or a notification that
// the host sends, as jsonrpc_call of the CCM manual does. The verbs are those
// of [mjson.Appendf]. It adds no id and checks no JSON.
func (e *Engine) Callf(dst []byte, format string, args ...any) ([]byte, error) {
	dst, err := e.printer.Appendf(dst, format, args...)
	if err != nil {
		return dst, err
	}
	return append(dst, '\n'), nil
}
