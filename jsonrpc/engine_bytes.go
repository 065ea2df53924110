package jsonrpc

import "context"

// defaultMaxLine is the longest line that ProcessByte takes by default. The C
// library took 255 bytes.
const defaultMaxLine = 4096

// ProcessByte takes one byte of a stream of lines, as jsonrpc_process_byte of
// the C library does. At the end of a line it processes the line and appends
// what is to be sent to dst. Lines of no or one byte are ignored; a line longer
// than MaxLine is discarded up to its end and counted.
func (e *Engine) ProcessByte(ctx context.Context, dst []byte, b byte) []byte {
	if b != '\n' {
		e.store(b)
		return dst
	}
	line := e.line
	e.line = e.line[:0]
	if e.skip {
		e.skip = false
		return dst
	}
	if len(line) > 1 {
		dst = e.Process(ctx, dst, line)
	}
	return dst
}

// ProcessBytes is ProcessByte for each byte of p.
func (e *Engine) ProcessBytes(ctx context.Context, dst, p []byte) []byte {
	for _, b := range p {
		dst = e.ProcessByte(ctx, dst, b)
	}
	return dst
}

// Overlong returns how many lines ProcessByte discarded for their length.
func (e *Engine) Overlong() uint64 { return e.tooLong }

// store keeps a byte of the line unless the line has grown too long.
func (e *Engine) store(b byte) {
	limit := e.MaxLine
	if limit <= 0 {
		limit = defaultMaxLine
	}
	if e.skip {
		return
	}
	if len(e.line) >= limit {
		e.line, e.skip = e.line[:0], true
		e.tooLong++
		return
	}
	e.line = append(e.line, b)
}
