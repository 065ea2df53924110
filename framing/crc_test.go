package framing_test

import (
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
)

const getInfo = `{"method":"Sys.GetInfo"}`

func TestAppendCRC(t *testing.T) {
	if got := withCRC(getInfo); got != getInfo+"010a4ff9" {
		t.Errorf("got %q", got)
	}
	if got := string(framing.AppendCRC([]byte("x"), []byte("{}"))); got != "xa3a6bf43" {
		t.Errorf("got %q", got)
	}
}

func TestCutCRC(t *testing.T) {
	for _, tt := range []struct {
		name, line, frame string
		state             framing.CRCState
	}{
		{"none", getInfo, getInfo, framing.CRCNone},
		{"none, blanks", getInfo + " \t\r", getInfo, framing.CRCNone},
		{"valid", getInfo + "010a4ff9", getInfo, framing.CRCValid},
		{"valid, upper case", getInfo + "010A4FF9", getInfo, framing.CRCValid},
		{"valid, CR", getInfo + "010a4ff9\r", getInfo, framing.CRCValid},
		{"valid, metadata", getInfo + "010a4ff9,x=1", getInfo, framing.CRCValid},
		{"valid, empty metadata", getInfo + "010a4ff9,", getInfo, framing.CRCValid},
		{"wrong", getInfo + "010a4ff8", getInfo, framing.CRCBad},
		{"wrong, metadata", getInfo + "010a4ff8,x", getInfo, framing.CRCBad},
		{"zeros", getInfo + "00000000", getInfo, framing.CRCBad},
		{"too short", getInfo + "010a4ff", getInfo, framing.CRCBad},
		{"too long", getInfo + "010a4ff90", getInfo, framing.CRCBad},
		{"leading zero more", getInfo + "0010a4ff9", getInfo, framing.CRCBad},
		{"short with metadata", getInfo + "1,x", getInfo, framing.CRCBad},
		{"not hexadecimal", getInfo + "010a4fg9", getInfo + "010a4fg9", framing.CRCNone},
		{"comma only", getInfo + ",", getInfo + ",", framing.CRCNone},
		{"text", getInfo + " hello", getInfo + " hello", framing.CRCNone},
		{"truncated object", `{"a":{"b":1},"c":2`, `{"a":{"b":1},"c":2`, framing.CRCNone},
		{"no brace", "0123abcd", "0123abcd", framing.CRCNone},
		{"empty", "", "", framing.CRCNone},
		{"blank", " \r\n", "", framing.CRCNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frame, state := framing.CutCRC([]byte(tt.line))
			if string(frame) != tt.frame || state != tt.state {
				t.Errorf("CutCRC(%q) = %q, %v; want %q, %v", tt.line, frame, state, tt.frame, tt.state)
			}
			if len(frame) != cap(frame) {
				t.Errorf("frame has %d bytes of spare capacity", cap(frame)-len(frame))
			}
		})
	}
}

// TestCRCBitFlips inverts every bit of every frame: none may pass as another
// frame with a valid suffix, and RequireCRC lets nothing through.
func TestCRCBitFlips(t *testing.T) {
	flips, without := 0, 0
	for _, s := range frames {
		line := []byte(withCRC(s))
		for i := range line {
			for bit := range 8 {
				line[i] ^= 1 << bit
				flips++
				c := framing.NewConn(newScript(step{data: "\n" + string(line) + "\n"}),
					&framing.Options{RequireCRC: true, MaxFrame: 256})
				for _, f := range readAll(t, c) {
					if f != s { // e.g. a digit that changed its case
						t.Fatalf("flip %d.%d of %q was accepted as %q", i, bit, s, f)
					}
				}
				c = framing.NewConn(newScript(step{data: "\n" + string(line) + "\n"}), &framing.Options{MaxFrame: 256})
				for _, f := range readAll(t, c) {
					if _, err := framing.Count([]byte(f), c.PeerCRC()); err == nil && f != s {
						without++
					}
				}
				line[i] ^= 1 << bit
			}
		}
	}
	if without > 0 {
		t.Errorf("%d of %d flips passed as frames without a suffix", without, flips)
	}
	t.Logf("%d flips", flips)
}

func TestStateNames(t *testing.T) {
	got := []string{framing.CRCNone.String(), framing.CRCValid.String(), framing.CRCBad.String(),
		framing.CRCAuto.String(), framing.CRCSend.String(), framing.CRCOff.String(),
		framing.EventJunk.String(), framing.EventNonASCII.String(), framing.EventKind(99).String()}
	if s := strings.Join(got, " "); s != "none valid bad auto send off junk nonascii ?" {
		t.Error(s)
	}
}

func TestCRCAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	frame, buf := []byte(frames[0]), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		buf = framing.AppendCRC(append(buf[:0], frame...), frame)
		if _, s := framing.CutCRC(buf); s != framing.CRCValid {
			t.Fatal(s)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
