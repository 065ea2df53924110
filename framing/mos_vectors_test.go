package framing_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// transcript is one recorded run of the mos tool.
type transcript struct {
	name             string
	toDev, toMos     string   // all bytes of a direction
	reqs, replies    []string // the frames in them that a receiver must accept
	badCRC, shakes   int      // replies with a wrong CRC, handshakes asked for
	answered, abrupt int      // handshakes answered, replies left out of the record
}

var mosFrame = regexp.MustCompile(`^(\{.*\})([0-9a-f]{8})?$`)

// frameList is an independent reading of the framing: cut at every delimiter.
func frameList(stream string) (frames []string, bad int) {
	for _, seg := range strings.Split(strings.ReplaceAll(stream, `"""`, "\n"), "\n") {
		m := mosFrame.FindStringSubmatch(seg)
		switch {
		case m == nil:
		case m[2] != "" && m[2] != strings.TrimPrefix(withCRC(m[1]), m[1]):
			bad++
		default:
			frames = append(frames, m[1])
		}
	}
	return frames, bad
}

// transcripts reads all recorded runs that match the pattern and accounts for
// every row.
func transcripts(t *testing.T, pattern string) (all []transcript) {
	for _, file := range vectors.Files(t, pattern) {
		tr := transcript{name: strings.TrimSuffix(filepath.Base(file), ".jsonl")}
		lines := vectors.Lines(t, file)
		ran := 0
		for i, line := range lines {
			var row struct {
				Cmd, Dir, Raw string
				Abridged      string `json:"raw_abridged"`
			}
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatalf("%s:%d: %v", file, i+1, err)
			}
			switch {
			case i == 0 && row.Cmd != "":
			case row.Dir == "mos>dev" && row.Raw != "":
				tr.toDev += row.Raw
			case row.Dir == "dev>mos" && row.Raw != "":
				tr.toMos += row.Raw
			case row.Dir == "dev>mos" && row.Abridged != "":
				tr.abrupt++
			default:
				t.Fatalf("%s:%d: unexpected row %s", file, i+1, line)
			}
			ran++
		}
		if ran != len(lines) || ran < 3 {
			t.Errorf("%s: ran %d of %d rows", file, ran, len(lines))
		}
		t.Logf("%s: %d of %d rows", filepath.Base(file), ran-1, len(lines)-1)
		const shake = `"""` + "\x04" + `"""`
		tr.reqs, _ = frameList(tr.toDev)
		tr.replies, tr.badCRC = frameList(tr.toMos)
		tr.shakes, tr.answered = strings.Count(tr.toDev, shake), strings.Count(tr.toMos, shake)
		all = append(all, tr)
	}
	return all
}

// TestMosVectorsDevice gives the device's side what mos sent.
func TestMosVectorsDevice(t *testing.T) {
	for _, tr := range transcripts(t, "mos/serial-*.jsonl") {
		t.Run(tr.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 16, 5000} {
				p := chunks(tr.toDev, size)
				m := framing.NewMosDevice(p, nil)
				same(t, readAll(t, m), tr.reqs...)
				s := m.Stats()
				if int(s.Handshake) != tr.shakes || int(s.CRCGood) != len(tr.reqs) || s.Junk+s.CRCErrors+s.Dropped+s.Discarded != 0 {
					t.Errorf("pieces of %d: stats %+v", size, s)
				}
				m.Close()
			}
		})
	}
}

// TestMosVectorsDeviceAnswers checks what the device's side sends by itself.
func TestMosVectorsDeviceAnswers(t *testing.T) {
	for _, tr := range transcripts(t, "mos/serial-*.jsonl") {
		t.Run(tr.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := wire.Pair(nil)
				m := framing.NewMosDevice(near, nil)
				go collect(m)
				for p := tr.toDev; len(p) > 0; {
					n := min(16, len(p))
					far.Write([]byte(p[:n]))
					synctest.Wait()
					p = p[n:]
				}
				m.Close()
				buf := make([]byte, 1<<16)
				n, _ := far.Read(buf)
				got := string(buf[:n])
				if k := strings.Count(got, "\"\"\"\x04\"\"\""); k != tr.shakes {
					t.Errorf("%d handshakes answered, want %d", k, tr.shakes)
				}
				if rest := strings.Trim(strings.ReplaceAll(got, "\"\"\"\x04\"\"\"", ""), "\n"); rest != "" {
					t.Errorf("also sent %q", rest)
				}
				if !strings.Contains(got, "\n") {
					t.Error("no answer to empty frames")
				}
			})
		})
	}
}

// TestMosVectorsTool gives the tool's side what the device sent.
func TestMosVectorsTool(t *testing.T) {
	for _, tr := range transcripts(t, "mos/serial-*.jsonl") {
		t.Run(tr.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 16, 5000} {
				m := framing.NewMosTool(chunks(tr.toMos, size), nil)
				same(t, readAll(t, m), tr.replies...)
				s := m.Stats()
				if int(s.Handshake) != tr.answered || int(s.CRCErrors) != tr.badCRC || s.Junk+s.Dropped+s.Discarded != 0 {
					t.Errorf("pieces of %d: stats %+v", size, s)
				}
			}
		})
	}
}

// TestMosVectorsToolSends has the tool's side send the recorded requests: its
// bytes must be the recorded ones.
func TestMosVectorsToolSends(t *testing.T) {
	for _, tr := range transcripts(t, "mos/serial-*.jsonl") {
		t.Run(tr.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent strings.Builder
				near, far := wire.Pair(&wire.Options{Tap: func(d wire.Dir, p []byte) {
					if d == wire.AtoB {
						sent.Write(p)
					}
				}})
				m := framing.NewMosTool(near, &framing.MosOptions{EveryFrame: true, HandshakeTries: tr.shakes})
				go collect(m)
				if tr.answered > 0 {
					dev := framing.NewMosDevice(far, nil)
					go collect(dev)
					defer dev.Close()
				}
				for _, f := range tr.reqs {
					if err := m.WriteFrame([]byte(f)); err != nil {
						t.Fatal(err)
					}
				}
				if len(tr.reqs) == 0 { // the handshake that was never answered
					start := time.Now()
					if err := m.WriteFrame([]byte("{}")); !errors.Is(err, framing.ErrNoHandshake) {
						t.Errorf("error %v", err)
					}
					if d := time.Since(start); d != time.Duration(tr.shakes)*200*time.Millisecond {
						t.Errorf("gave up after %v", d)
					}
				}
				m.Close()
				far.Close()
				synctest.Wait()
				if got := sent.String(); got != tr.toDev {
					t.Errorf("sent\n%q\nwant\n%q", got, tr.toDev)
				}
			})
		})
	}
}

func TestMosVectorsTCP(t *testing.T) {
	for _, tr := range transcripts(t, "mos/tcp-*.jsonl") {
		for _, dir := range []struct {
			text   string
			frames []string
		}{{tr.toDev, tr.reqs}, {tr.toMos, tr.replies}} {
			p := chunks(dir.text, 7)
			m := framing.NewMosTCP(p, nil)
			got := readAll(t, m)
			same(t, got, dir.frames...)
			for _, f := range got {
				if err := m.WriteFrame([]byte(f)); err != nil {
					t.Fatal(err)
				}
			}
			var sent string
			for _, w := range p.writes {
				sent += string(w)
			}
			if sent != dir.text {
				t.Errorf("sent %q, want %q", sent, dir.text)
			}
		}
	}
}
