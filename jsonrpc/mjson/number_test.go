package mjson_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// normal turns a token of the grammar of mjson into one that strconv takes.
func normal(token string) string {
	mant, exp, hasExp := token, "", false
	if i := strings.IndexAny(token, "eE"); i >= 0 {
		mant, exp, hasExp = token[:i], token[i+1:], true
	}
	if strings.HasPrefix(mant, "-.") {
		mant = "-0" + mant[1:]
	}
	if !hasExp {
		return mant
	}
	exp = strings.Replace(exp, "+", "", 1)
	if exp == "" || exp == "-" {
		exp = "0"
	}
	return mant + "e" + exp
}

func checkNumber(t *testing.T, token string) {
	t.Helper()
	want, err := strconv.ParseFloat(normal(token), 64)
	if err != nil && !math.IsInf(want, 0) {
		t.Fatalf("strconv.ParseFloat(%q): %v", normal(token), err)
	}
	got, ok := mjson.ParseNumber(guarded([]byte(token)))
	if !ok || math.Float64bits(got) != math.Float64bits(want) {
		t.Errorf("ParseNumber(%.80q) = %v (%x), %v, want %v (%x)", token, got, math.Float64bits(got), ok, want, math.Float64bits(want))
	}
}

func TestParseNumber(t *testing.T) {
	for _, token := range []string{
		"0", "-0", "00", "-00.0e5", "1", "-1", "01", "1e", "1e+", "1e-", "1e-+5", "1E5", "-.5", "1.e5", "-.e1",
		"0.1", "-0.00013", "1.5E-7", "123456789012345678901234567890", "9007199254740993", "9007199254740992.5",
		"1e22", "1e23", "8.41e21", "1e-22", "1e-23", "1.7976931348623157e308", "1.7976931348623158e308",
		"1.7976931348623159e308", "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042879",
		"179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880",
		"5e-324", "2.4703282292062327208e-324", "2.4703282292062328e-324", "2.2250738585072014e-308", "1e-400", "1e400", "-1e400", "-1e-400",
		"1e999999999999999999999999", "-1e-999999999999999999999999", "0e999999999999999999999999",
		"9223372036854775807", "18446744073709551616", "9999999999999999999", "99999999999999999999",
		"9007199254740993.0000000000000000000000000000000000000001", "9007199254740993.0",
		"9007199254740992.999999999999999999999999999999999999",
	} {
		checkNumber(t, token)
	}
	for _, bad := range []string{"", "-", ".", ".5", "+1", "1.", "-.", "-e5", "1 ", " 1", "1x", "0x10", "inf", "NaN", "1e+-5", "1.5.5", "--1"} {
		if f, ok := mjson.ParseNumber([]byte(bad)); ok || f != 0 {
			t.Errorf("ParseNumber(%q) = %v, %v", bad, f, ok)
		}
		if n, ok := mjson.ParseInt([]byte(bad)); ok || n != 0 {
			t.Errorf("ParseInt(%q) = %v, %v", bad, n, ok)
		}
	}
}

// TestParseNumberMiddle takes exact middles between neighbouring float64
// values, and numbers a digit to either side of them.
func TestParseNumberMiddle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 1000 {
		bits := r.Uint64() >> 1
		switch i % 4 {
		case 1:
			bits %= 1 << 54 // subnormal and small
		case 2:
			bits = 0x7fe<<52 | bits&(1<<52-1) // the largest
		}
		f := math.Float64frombits(bits)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			continue
		}
		next := new(big.Float).SetPrec(2000).SetFloat64(math.MaxFloat64)
		if up := math.Nextafter(f, math.Inf(1)); !math.IsInf(up, 0) {
			next.SetFloat64(up)
		}
		mid := new(big.Float).SetPrec(2000).SetFloat64(f)
		mid.Add(mid, next).Quo(mid, big.NewFloat(2).SetPrec(2000))
		text := mid.Text('e', 780)
		mant, exp, _ := strings.Cut(text, "e")
		checkNumber(t, text)
		checkNumber(t, mant+"1e"+exp)
		checkNumber(t, mant+strings.Repeat("0", 200)+"1e"+exp)
		checkNumber(t, mant+strings.Repeat("0", 200)+"100e"+exp)
		checkNumber(t, mid.Text('e', 25))
		checkNumber(t, mid.Text('f', 1100))
	}
}

func TestParseNumberRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + r.IntN(10))
		}
		return string(b)
	}
	for range 20000 {
		token := digits(1 + r.IntN(25))
		if r.IntN(2) == 0 {
			token += "." + digits(1+r.IntN(25))
		}
		if r.IntN(2) == 0 {
			token += "e" + strconv.Itoa(r.IntN(700)-350)
		}
		checkNumber(t, token)
	}
}

func TestParseInt(t *testing.T) {
	for _, c := range []struct {
		token string
		want  int64
		ok    bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"007", 7, true}, {"-12", -12, true},
		{"9007199254740993", 9007199254740993, true},
		{"9223372036854775807", math.MaxInt64, true}, {"-9223372036854775808", math.MinInt64, true},
		{"9223372036854775808", 0, false}, {"-9223372036854775809", 0, false},
		{"18446744073709551615", 0, false}, {"99999999999999999999", 0, false},
		{"1.0", 1, true}, {"1.50e2", 150, true}, {"1e3", 1000, true}, {"1200e-2", 12, true}, {"-1e18", -1e18, true},
		{"1e19", 0, false}, {"1.5", 0, false}, {"1e-1", 0, false}, {"0.1e1", 1, true}, {"0e99999999999999999999", 0, true},
		{"1e99999999999999999999", 0, false}, {"1e-99999999999999999999", 0, false},
		{"922337203685477580.7e1", math.MaxInt64, true}, {"1.000000000000000000000000", 1, true},
		{"100000000000000000000000e-23", 1, true}, {"1e", 1, true}, {"-.5e1", -5, true},
		{"10000000000000000000000001e-25", 0, false},
	} {
		if got, ok := mjson.ParseInt([]byte(c.token)); got != c.want || ok != c.ok {
			t.Errorf("ParseInt(%q) = %d, %v, want %d, %v", c.token, got, ok, c.want, c.ok)
		}
	}
}
