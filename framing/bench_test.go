package framing_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing"
)

// endless is a port that reads the same text for ever and swallows writes.
type endless struct {
	text []byte
	pos  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.pos:])
	e.pos = (e.pos + n) % len(e.text)
	return n, nil
}
func (e *endless) Write(p []byte) (int, error)     { return len(p), nil }
func (e *endless) Close() error                    { return nil }
func (e *endless) SetReadDeadline(time.Time) error { return nil }

// line64 is a frame that makes 64 bytes with its line feed.
var line64 = []byte(`{"method":"MQTT.Pub","params":{"topic":"t1","message":"12345"}}` + "\n")

func BenchmarkDecoder(b *testing.B) {
	for name, piece := range map[string]int{"whole": 4096, "pieces64": 50} {
		b.Run(name, func(b *testing.B) {
			stream := bytes.Repeat(line64, 1024)
			d := framing.NewDecoder(0)
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				lines := 0
				for p := stream; len(p) > 0; {
					q := p[:min(len(p), piece)]
					p = p[len(q):]
					for len(q) > 0 {
						var line []byte
						if line, q = d.Feed(q); line != nil {
							lines++
						}
					}
				}
				if lines != 1024 {
					b.Fatal(lines)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/line")
		})
	}
}

func BenchmarkCRC(b *testing.B) {
	line := framing.AppendCRC(line64[:63:63], line64[:63])
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, s := framing.CutCRC(line); s != framing.CRCValid {
			b.Fatal(s)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	line := []byte(strings.Repeat(string(line64[:63]), 16))
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := framing.Count(line, false); n != 16 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkConnWrite(b *testing.B) {
	for name, mode := range map[string]framing.CRCMode{"plain": framing.CRCOff, "crc": framing.CRCSend} {
		b.Run(name, func(b *testing.B) {
			c := framing.NewConn(&endless{}, &framing.Options{CRC: mode})
			b.SetBytes(int64(len(line64)))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.WriteFrame(line64[:63]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkConnRead(b *testing.B) {
	for name, text := range map[string][]byte{
		"plain": line64, "crc": []byte(withCRC(string(line64[:63])) + "\n"),
	} {
		b.Run(name, func(b *testing.B) {
			c := framing.NewConn(&endless{text: bytes.Repeat(text, 16)}, nil)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ReadFrame(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMosRead(b *testing.B) {
	text := bytes.Repeat([]byte("\n\"\"\""+withCRC(string(line64[:63]))+"\"\"\"\n"), 16)
	c := framing.NewMosTCP(&endless{text: text}, nil)
	b.SetBytes(int64(len(text) / 16))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.ReadFrame(); err != nil {
			b.Fatal(err)
		}
	}
}
