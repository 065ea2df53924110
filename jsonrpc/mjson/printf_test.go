package mjson_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

func TestAppendfTypes(t *testing.T) {
	for _, c := range []struct {
		format string
		args   []any
		want   string
	}{
		{"%d %d %d %d %d", []any{int8(-8), int16(-16), int32(-32), int64(-64), -1}, "-8 -16 -32 -64 -1"},
		{"%d %d %d %d %d %d", []any{uint8(8), uint16(16), uint32(4294967295), uint64(math.MaxUint64), uint(1), uintptr(2)}, "8 16 4294967295 18446744073709551615 1 2"},
		{"%d %ld", []any{int64(math.MinInt64), int64(math.MinInt64)}, "-9223372036854775808 -9223372036854775808"},
		{"%u %u %u %lu %lu", []any{-97, int8(-1), int64(-1 << 40), -1, int32(-1)}, "4294967199 4294967295 18446742974197923840 18446744073709551615 18446744073709551615"},
		{"%B %B %B %B", []any{true, false, 5, uint8(0)}, "true false true false"},
		{"%g %g %g %g %g", []any{float32(0.5), 7, int64(-7), uint64(math.MaxUint64), math.Copysign(0, -1)}, "0.5 7 -7 1.84467e+19 0"},
		{"%g %g %g", []any{math.Inf(1), math.Inf(-1), math.NaN()}, "null null null"},
		{"%.*g %.*g %.*g", []any{0, 1.25, -3, 1.23456789, uint8(3), 1.23456}, "1 1.23457 1.23"},
		{"%.*g", []any{int64(math.MaxInt64), 0.1}, "0.1000000000000000055511151231257827021181583404541015625"},
		{"%s|%s|%s", []any{"a", []byte("b"), ""}, "a|b|"},
		{"%Q %Q %Q %Q", []any{"a/\x1f", []byte{'"', 0}, nil, []byte(nil)}, `"a/\u001f" "\"\u0000" "" ""`},
		{"%.*s|%.*s|%.*s|%.*s", []any{2, "abc", -1, "abc", int64(math.MinInt64), []byte("x"), 0, nil}, "ab|||"},
		{"%.*Q %.*Q %.*Q", []any{1, []byte("ab"), -5, "x", 0, nil}, `"a" "" ""`},
		{"%V %V %V %V", []any{2, "abc", "abc", []byte{1}, nil}, `"YWI=" "YWJj" "AQ==" ""`},
		{"%H %H %H %H", []any{2, []byte{1, 0xab, 3}, "A", []byte{}, -1, "x"}, `"01ab" "41" "" ""`},
		{"", nil, ""}, {"\x00%d", []any{1}, "\x001"},
		{"%M", []any{func(dst []byte, args []any) ([]byte, int) { return nil, 0 }}, ""},
	} {
		got, err := mjson.Appendf([]byte("dst"), c.format, c.args...)
		if string(got) != "dst"+c.want || err != nil {
			t.Errorf("Appendf(%q, %v) = %q, %v, want %q", c.format, c.args, got, err, c.want)
		}
	}
}

func TestAppendfErrors(t *testing.T) {
	type named string
	for _, c := range []struct {
		format string
		args   []any
		want   string
		verb   string
		off    int
		arg    int
	}{
		{"[%d]", nil, "[null]", "%d", 1, 0},
		{"%d%u", []any{1}, "1null", "%u", 2, 1},
		{"%ld", []any{"x"}, "null", "%ld", 0, 0},
		{"%d", []any{1.5}, "null", "%d", 0, 0},
		{"%d", []any{nil}, "null", "%d", 0, 0},
		{"%d", []any{true}, "null", "%d", 0, 0},
		{"%lu", nil, "null", "%lu", 0, 0},
		{"%g", []any{"x"}, "null", "%g", 0, 0},
		{"%g", nil, "null", "%g", 0, 0},
		{"%B", []any{"x"}, "null", "%B", 0, 0},
		{"%B", nil, "null", "%B", 0, 0},
		{"%s", []any{nil}, "null", "%s", 0, 0},
		{"%s", nil, "null", "%s", 0, 0},
		{"%s", []any{named("x")}, "null", "%s", 0, 0},
		{"%Q", []any{5}, "null", "%Q", 0, 0},
		{"%Q", nil, "null", "%Q", 0, 0},
		{"%.*s%d", []any{"x", "abc", 7}, "null7", "%.*s", 0, 0},
		{"%.*s", []any{2}, "null", "%.*s", 0, 1},
		{"%.*s", []any{2, nil}, "null", "%.*s", 0, 1},
		{"%.*s", []any{4, "abc"}, "abc", "%.*s", 0, 1},
		{"%.*Q", []any{4, []byte("abc")}, `"abc"`, "%.*Q", 0, 1},
		{"%.*Q", []any{2, 3}, "null", "%.*Q", 0, 1},
		{"%.*Q", nil, "null", "%.*Q", 0, 0},
		{"%.*g%d", []any{"x", 1.5, 7}, "null7", "%.*g", 0, 0},
		{"%.*g", []any{2}, "null", "%.*g", 0, 1},
		{"%V", nil, "null", "%V", 0, 0},
		{"%V", []any{1.5}, "null", "%V", 0, 0},
		{"%V", []any{1}, "null", "%V", 0, 1},
		{"%V", []any{1, nil}, "null", "%V", 0, 1},
		{"%H", []any{2, "x"}, `"78"`, "%H", 0, 1},
		{"%H", []any{2, 2}, "null", "%H", 0, 1},
		{"%M", nil, "null", "%M", 0, 0},
		{"%M", []any{5}, "null", "%M", 0, 0},
		{"%M", []any{mjson.PrintFunc(nil)}, "null", "%M", 0, 0},
		{"%M%d", []any{func(dst []byte, _ []any) ([]byte, int) { return append(dst, 'x'), 3 }, 1}, "xnull", "%M", 0, 0},
		{"%M%d", []any{func(dst []byte, _ []any) ([]byte, int) { return append(dst, 'x'), -1 }, 1}, "x1", "%M", 0, 0},
		{"%d", []any{1, "left over"}, "1", "", 2, 1},
		{"%g text", []any{1, 2, 3}, "1 text", "", 7, 1},
		{"text", []any{nil}, "text", "", 4, 0},
		{"%d", []any{"x", "left over"}, "null", "%d", 0, 0},
		{"%", nil, "", "%", 0, -1},
		{"a%", nil, "a", "%", 1, -1},
		{"%d%", []any{1}, "1", "%", 2, -1},
		{"%d%", nil, "null", "%d", 0, 0},
		{"%l", nil, "", "%l", 0, -1},
		{"%.", nil, "", "%.", 0, -1},
		{"%.*", nil, "*", "%.", 0, -1},
		{"%.*x", []any{1, 2}, "*x", "%.", 0, -1},
		{"%lQ%lg", []any{"x", 1.5}, `"x"Q1.5g`, "%lQ", 0, -1},
		{"%lQ", []any{5}, "nullQ", "%lQ", 0, -1},
		{"%l%d", []any{3}, "3", "%l%", 0, -1},
		{"%ll", nil, "l", "%ll", 0, -1},
		{"%d %v", []any{1, 2}, "1 ", "%v", 3, -1},
		{"%5d%d", []any{1}, "d1", "%5", 0, -1},
		{"100%%", nil, "100", "%%", 3, -1},
		{"%é", nil, "\xa9", "%é", 0, -1},
		{"%\xff", nil, "", "%\uFFFD", 0, -1},
		{"%l\xff", nil, "\xff", "%l\uFFFD", 0, -1},
	} {
		got, err := mjson.Appendf([]byte("dst"), c.format, c.args...)
		if string(got) != "dst"+c.want {
			t.Errorf("Appendf(%q, %v) = %q, want %q", c.format, c.args, got, c.want)
		}
		var fe *mjson.FormatError
		if !errors.As(err, &fe) {
			t.Errorf("Appendf(%q, %v): error %v", c.format, c.args, err)
			continue
		}
		if fe.Verb != c.verb || fe.Offset != c.off || fe.Arg != c.arg || !strings.Contains(fe.Error(), fe.Verb) {
			t.Errorf("Appendf(%q, %v): error %+v, want %s at %d, argument %d", c.format, c.args, fe, c.verb, c.off, c.arg)
		}
	}
}

// TestFormatErrorReasons: the reason says what was wanted.
func TestFormatErrorReasons(t *testing.T) {
	type named int
	for _, c := range []struct {
		format string
		args   []any
		want   string
	}{
		{"%d", []any{"x"}, "want an integer"},
		{"%lu", []any{1.5}, "want an integer"},
		{"%d", []any{named(1)}, "want an integer; convert named types"},
		{"%g", []any{"x"}, "want a number"},
		{"%g", []any{named(1)}, "want a number; convert named types"},
		{"%B", []any{nil}, "want a bool"},
		{"%B", []any{struct{}{}}, "want a bool; convert named types"},
		{"%s", []any{5}, "want a string or []byte"},
		{"%Q", []any{named(1)}, "want a string or []byte; convert named types"},
		{"%.*Q", []any{1, true}, "want a string or []byte"},
		{"%.*Q", []any{"x", "y"}, "want an integer"},
		{"%.*g", []any{named(1), "y"}, "want an integer; convert named types"},
		{"%.*g", nil, "missing argument"},
		{"%V", []any{1.5}, "want a string or []byte"},
		{"%H", []any{1, named(1)}, "want a string or []byte; convert named types"},
		{"%M", []any{1}, "want a PrintFunc"},
		{"%d%d", []any{"x", named(1)}, "want an integer"},
		{"%d%d", []any{named(1), "x"}, "want an integer; convert named types"},
		{"%x", []any{1}, "unknown verb"},
		{"%", nil, "no verb after the percent sign"},
		{"%d", []any{1, 2}, "more arguments than verbs"},
	} {
		_, err := mjson.Appendf(nil, c.format, c.args...)
		var fe *mjson.FormatError
		if !errors.As(err, &fe) || fe.Reason != c.want || !strings.HasSuffix(err.Error(), ": "+c.want) {
			t.Errorf("Appendf(%q, %v): error %v, want %s", c.format, c.args, err, c.want)
		}
	}
	for _, c := range []struct {
		err  mjson.FormatError
		want string
	}{
		{mjson.FormatError{Verb: "%d", Offset: 2, Arg: 1, Reason: "r"}, "mjson: format %d at offset 2, argument 1: r"},
		{mjson.FormatError{Verb: "%v", Offset: 2, Arg: -1, Reason: "r"}, "mjson: format %v at offset 2: r"},
		{mjson.FormatError{Offset: 2, Arg: 3, Reason: "r"}, "mjson: format, argument 3: r"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestPrintFuncArgs(t *testing.T) {
	data := []byte("data")
	var kept []any
	keep := func(dst []byte, args []any) ([]byte, int) {
		kept = args
		return append(dst, '!'), 2
	}
	got, err := mjson.Appendf(nil, "%M%d", keep, data, keep, 5, int8(1), int16(2), int32(3), int64(4), uint(5), uint8(6),
		uint16(7), uint32(8), uint64(9), uintptr(10), float32(1), 2.0, true, "s", nil)
	var fe *mjson.FormatError // about the arguments that nobody used
	if string(got) != "!5" || !errors.As(err, &fe) || fe.Arg != 4 || fe.Verb != "" {
		t.Fatalf("%q, %v", got, err)
	}
	data[0] = 'D'
	if b, ok := kept[0].([]byte); !ok || string(b) != "data" {
		t.Errorf("the byte slice is %v, want a copy", kept[0])
	}
	if kept[1] != nil {
		t.Errorf("the function arrived as %T, want nil", kept[1])
	}
	want := []any{5, int8(1), int16(2), int32(3), int64(4), uint(5), uint8(6), uint16(7), uint32(8), uint64(9), uintptr(10), float32(1), 2.0, true, "s", nil}
	for i, w := range want {
		if kept[i+2] != w {
			t.Errorf("argument %d is %T %v, want %T %v", i+2, kept[i+2], kept[i+2], w, w)
		}
	}
}

func TestEscapeSlash(t *testing.T) {
	got, err := mjson.Printer{EscapeSlash: true}.Appendf(nil, "%Q/%.*Q%s", "a/b", 2, []byte("//x"), "/")
	if want := `"a\/b"/"\/\/"/`; string(got) != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestSnprintf(t *testing.T) {
	for size := range 8 {
		buf := []byte("########")[:size]
		n, err := mjson.Snprintf(buf, "%s", "abcd")
		want := []byte("abcd")[:min(4, max(0, size-1))]
		if n != len(want) || string(buf[:n]) != string(want) || (err == mjson.ErrTruncated) != (size < 5) {
			t.Errorf("size %d: %d %q %v", size, n, buf, err)
		}
		if size > 0 && buf[n] != 0 {
			t.Errorf("size %d: no NUL in %q", size, buf)
		}
	}
	if n, err := mjson.Snprintf(nil, ""); n != 0 || err != nil {
		t.Errorf("nothing into nothing: %d, %v", n, err)
	}
	if n, err := mjson.Snprintf(make([]byte, 10), "%d", "x"); n != 4 || !errors.As(err, new(*mjson.FormatError)) {
		t.Errorf("bad argument: %d, %v", n, err)
	}
}
