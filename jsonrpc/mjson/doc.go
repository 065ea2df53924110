// Package mjson reads and writes JSON text the way Cesanta's mjson C library
// does: it scans tokens, finds values by path, prints with a JSON-aware format,
// merges, lays out and enumerates. Firmware built on that library and a Go
// program built on this package agree on every text, byte for byte, except
// where the C library reads outside its input, never ends, or prints something
// that is not JSON.
//
// The package works on byte slices and appends to buffers of the caller. With a
// large enough buffer nothing in it allocates, so it suits small machines and
// tight loops. It imports neither fmt, reflect nor encoding/json.
//
// # Reading
//
// [Find] selects a value by a path such as $.params.list[2]. The [Value] it
// returns is a slice of the document, with methods that decode it:
//
//	v := mjson.Find(frame, "$.params[0]")
//	if n, ok := v.Int(); ok { ... }
//
// [GetNumber], [GetInt], [GetBool] and [GetString] find and decode at once.
// [Children] ranges over an object or array. [Scan] reports every token, and
// without a callback checks the text.
//
// What counts as JSON is mjson's idea of it, which is wider than RFC 8259:
//
//   - Only the first value is read; text after it is ignored.
//   - One comma may follow the last element or member.
//   - In numbers, leading zeros, a missing integer part after a minus sign
//     ("-.5"), a missing fraction before an exponent ("1.e5") and missing
//     exponent digits ("1e") are accepted.
//   - In strings, every byte but NUL is accepted, control characters and
//     invalid UTF-8 too. Escapes are judged only when a string is decoded.
//   - At most [DefaultMaxDepth] containers may be open at once; a [Scanner] has
//     a limit of its own.
//
// Every text that is valid by RFC 8259 and not nested deeper than the limit is
// accepted.
//
// # Printing
//
// [Appendf] copies its format and replaces these verbs:
//
//	%d %ld     an integer
//	%u %lu     an integer; negative ones modulo 2^32, with l modulo 2^64
//	%g         a number with 6 significant digits, as %g of C; infinities
//	           and NaN print null, zero has no sign
//	%.*g       int n, a number: the same with n significant digits
//	%B         true or false, of a bool or an integer that is not zero
//	%s         a string or []byte as it is
//	%.*s       int n, a string or []byte: the first n bytes of it
//	%Q         a string or []byte in quotes, escaped; nil prints ""
//	%.*Q       int n, a string or []byte: the first n bytes, the same way
//	%V         int n, a string or []byte: the first n bytes in base64, in quotes
//	%H         int n, a string or []byte: the first n bytes in hexadecimal, in
//	           quotes
//	%M         a [PrintFunc] and the arguments it takes
//
// %V and %H also take a string or []byte without a length before it. Integers
// may have any Go integer type, and are printed in full by all integer verbs
// unless negative and unsigned: "%d" of a large int64 does not lose bits.
// Numbers for %g may be integers too.
//
// There are no flags, widths or other verbs, and no way to write a percent sign
// but %s of "%". As in C, the byte after any other percent sign is dropped with
// it and takes no argument: "100%%" prints 100, "%5d" prints d, and "%lQ" prints
// what "%QQ" does. All of these are reported as unknown verbs by the error that
// Appendf returns beside the text, and so are arguments that no verb takes.
//
// # From C to Go
//
//	mjson                      Scan, Scanner.Scan, Valid
//	mjson_find                 Find, Scanner.Find
//	mjson_get_number           GetNumber, GetInt, Value.Number, Value.Int
//	mjson_get_bool             GetBool, Value.Bool
//	mjson_get_string           GetString, Value.AppendString, Value.Text
//	mjson_get_hex              GetHex, Value.AppendHex
//	mjson_get_base64           GetBase64, Value.AppendBase64
//	mjson_next                 Children; Next for the same shape
//	mjson_printf               Appendf, and a Write of the result
//	mjson_vprintf              Appendf(dst, format, args...)
//	mjson_snprintf             Snprintf
//	mjson_print_str            AppendQuote, AppendQuoteBytes
//	mjson_print_dbl            Appendf with %.*g
//	mjson_print_int, _long     strconv.AppendInt
//	mjson_print_buf            append
//	mjson_print_fixed_buf      Snprintf
//	mjson_print_dynamic_buf    any dst: append grows it
//	mjson_print_null, _file    Appendf, and len or Write
//	mjson_merge                Merge
//	mjson_pretty               Pretty
//	mjson_globmatch            Match
//	MJSON_MAX_DEPTH            Scanner.MaxDepth
//	MJSON_TOK_*                the constants of type Type
//
// # Deviations from the C library
//
// The C library is right by definition except in these points, where this
// package does what is safe:
//
//   - "-", "1." and the like are invalid; C reports a number of length 0.
//   - A path index must be decimal digits with a closing bracket; C takes [],
//     [x], [*] for [0]. A path never selects something in a later sibling of the
//     array it names.
//   - Numbers are correctly rounded, and exponents cost no time.
//   - All escapes of RFC 8259 are decoded, \u to UTF-8.
//   - Strings of hexadecimal or base64 digits are decoded only if all of it is
//     valid.
//   - %Q escapes all control characters. %g prints what printf of C prints.
//     Missing and unsuitable arguments are an error, not a crash; unknown verbs
//     and arguments left over are an error too, beside the text that C prints.
//   - Names are compared whole in [Merge], and arrays given to it count as
//     empty objects.
//   - [Match] considers all ways to match.
//   - Nothing reads outside its input, and the time taken is linear in its
//     length (for [Match], see there).
//
// # Concurrency
//
// There is no state: all functions and methods may be called from several
// goroutines at once, as long as nobody writes to a document, or a buffer, that
// another one uses.
//
// # Sources
//
// The behaviour is that of cesanta/mjson at commit 696969c (2025-03-05), recorded
// by running it. The recordings are in testdata/vectors and are tests of this
// package.
package mjson
