package bench

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/tidwall/gjson"
)

// TestAnswers checks that the contenders of each benchmark do the same work:
// that they give the same answers to the same input.
func TestAnswers(t *testing.T) {
	t.Run("Sum", func(t *testing.T) {
		for _, c := range sumServers {
			s := c.make(t)
			for range 3 { // reused buffers must not show
				if err := sameReply(s.serve(nil, []byte(c.frame)), []byte(sumAnswer)); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
	})
	t.Run("Notification", func(t *testing.T) {
		for _, c := range listeners {
			s := c.make()
			if out := s.serve(nil, []byte(deltaFrame)); len(out) > 0 || s.heard() != 1 {
				t.Errorf("%s: reply %q, heard %d notifications", c.name, out, s.heard())
			}
		}
	})
	t.Run("Params16K", testParams16K)
	t.Run("Stream", testStream)
	t.Run("Find16K", func(t *testing.T) {
		doc := input(t, "late16k.json")
		got, want := mjson.Find(doc, "$.late.value"), gjson.GetBytes(doc, "late.value")
		if string(got.Raw) != want.Raw || want.Raw != "42" {
			t.Errorf("ccmkit found %q, gjson %q", got.Raw, want.Raw)
		}
	})
	t.Run("Merge", func(t *testing.T) {
		a, b := input(t, "merge_a.json"), input(t, "merge_b.json")
		got := mjson.Merge(nil, a, b)
		want, err := sjsonMerge(a, b)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("ccmkit %s\nsjson %s, %v", got, want, err)
		}
		checkMerge(t, got)
	})
	t.Run("Call", func(t *testing.T) {
		c := newCaller(t)
		for range 3 {
			if out, err := c.Call(t.Context(), nil, "Sum", "[%d,%d]", 2, 3); err != nil || string(out) != "5" {
				t.Errorf("answer %q, %v", out, err)
			}
		}
	})
}

func testParams16K(t *testing.T) {
	frame := input(t, "params16k.json")
	want := []byte(`{"id":77,"result":null}`)
	for _, c := range listeners {
		if err := sameReply(c.make().serve(nil, frame), want); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if !json.Valid(frame) {
		t.Error("encoding/json refuses the frame")
	}
	// All of them must read the frame to its end.
	frame = frame[:len(frame)-2]
	for _, c := range listeners {
		if out := c.make().serve(nil, frame); len(out) > 0 {
			t.Errorf("%s answers a frame without its end: %q", c.name, out)
		}
	}
	if json.Valid(frame) {
		t.Error("encoding/json takes a frame without its end")
	}
}

func testStream(t *testing.T) {
	text := input(t, "stream.txt")
	var frames, replies int
	a, b := newStrict(), new(gjsonServer)
	eachLine(text, func(line []byte) {
		frames++
		got, want := a.serve(nil, line), b.serve(nil, line)
		if len(got) > 0 {
			replies++
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s\nccmkit %s\ngjson  %s", line, got, want)
		}
		if !json.Valid(line) {
			t.Errorf("encoding/json refuses %s", line)
		}
	})
	if a.heard() != b.heard() {
		t.Errorf("ccmkit heard %d notifications, gjson %d", a.heard(), b.heard())
	}
	t.Logf("%d frames, %d replies, %d notifications handled", frames, replies, a.heard())
	if frames < 15000 || replies < frames/2 {
		t.Errorf("%d replies to %d frames: not the stream it should be", replies, frames)
	}
}
