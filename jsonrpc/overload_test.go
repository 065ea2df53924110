package jsonrpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestU7Flood: a handler blocks for a minute while the host sends 10 000
// requests. Memory stays bounded, what is too much is answered 429, and
// RPC.List is answered quickly all the while.
func TestU7Flood(t *testing.T) {
	for _, c := range []struct {
		name  string
		baud  int
		large bool
		limit time.Duration // for RPC.List
	}{
		{"fast line", 0, false, 100 * time.Millisecond},
		{"fast line, large requests", 0, true, 100 * time.Millisecond},
		{"4 Mbaud", 4_000_000, false, 100 * time.Millisecond},
		// The refusals are longer than the requests: most of them are dropped.
		{"115200 baud", 115200, false, 100 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			const flood = 10_000
			var ran atomic.Int64
			mux := sumMux()
			mux.HandleFunc("Block", func(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
				ran.Add(1)
				time.Sleep(time.Minute)
			})
			base := heapInUse()
			b := newBare(t, &wire.Options{Baud: c.baud}, nil, &jsonrpc.ConnOptions{Handler: mux})
			codes := map[int]int{}
			results := 0
			asked := map[string]time.Time{}
			var worst time.Duration
			var mu sync.Mutex // guards what the host has read
			readerDone := make(chan struct{})
			go func() { // the host reads
				defer close(readerDone)
				f := newFramer(b.peer)
				for {
					line, err := f.ReadFrame()
					if err != nil {
						return
					}
					var r reply
					json.Unmarshal(line, &r)
					mu.Lock()
					if at, is := asked[string(r.ID)]; is {
						worst = max(worst, time.Since(at))
						delete(asked, string(r.ID))
					} else if r.Error != nil {
						codes[r.Error.Code]++
					} else {
						results++
					}
					mu.Unlock()
				}
			}()
			defer func() {
				b.conn.Close()
				<-b.ended
				b.peer.Close()
				<-readerDone
			}()
			io.WriteString(b.peer, `{"id":"first","method":"Block"}`+"\n")
			synctest.Wait()
			pad := ""
			if c.large {
				pad = strings.Repeat("x", 4000)
			}
			var peak uint64
			lists := 0
			for i := range flood {
				if i%500 == 250 {
					id := fmt.Sprintf(`"list%d"`, i)
					synctest.Wait()
					mu.Lock()
					asked[id] = time.Now()
					mu.Unlock()
					lists++
					io.WriteString(b.peer, `{"id":`+id+`,"method":"RPC.List"}`+"\n")
				}
				if i%2000 == 1999 {
					peak = max(peak, heapInUse())
				}
				fmt.Fprintf(b.peer, `{"id":%d,"method":"Sum","params":[1,%d,"%s"]}`+"\n", i, i, pad)
			}
			synctest.Wait()
			mu.Lock()
			unanswered := len(asked)
			mu.Unlock()
			peak = max(peak, heapInUse())
			s := b.conn.Stats()
			took := time.Since(t0(t))
			if got := ran.Load(); got != 1 {
				t.Errorf("%s: Block ran %d times", c.name, got)
			}
			over := int64(peak) - int64(base)
			mu.Lock()
			t.Logf("%s: flood over after %v: refused %d, answers dropped %d; heap and stacks %d KiB above base; RPC.List at worst %v (%d asked, %d open)",
				c.name, took, s.Busy, s.Unsent, over>>10, worst, lists, unanswered)
			mu.Unlock()
			if over > 8<<20 {
				t.Errorf("%s: %d bytes above base", c.name, over)
			}
			if c.baud == 0 && s.Busy != flood-64 {
				t.Errorf("%s: refused %d, want all but 64", c.name, s.Busy)
			}
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			s = b.conn.Stats()
			mu.Lock()
			defer mu.Unlock()
			t.Logf("%s: RPC.List at worst %v, answers dropped %d", c.name, worst, s.Unsent)
			if worst > c.limit || len(asked) > 0 {
				t.Errorf("%s: RPC.List took %v, %d unanswered", c.name, worst, len(asked))
			}
			if c.baud == 0 && (codes[jsonrpc.CodeBusy] != flood-64 || results != 65) {
				t.Errorf("%s: answers %v, %d results", c.name, codes, results)
			}
			if int(s.Unsent)+codes[jsonrpc.CodeBusy]+results+lists-len(asked) != flood+1+lists {
				t.Errorf("%s: answers %v, %d results, %d dropped, of %d requests", c.name, codes, results, s.Unsent, flood+1)
			}
		})
	}
}

// t0 is the time at which every bubble begins.
func t0(*testing.T) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// TestU7NotReading: the flood comes from a host that reads nothing. Memory is
// bounded, and when it reads again the connection works.
func TestU7NotReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, &wire.Options{Buffer: 256}, nil, &jsonrpc.ConnOptions{Handler: sumMux()})
		base := heapInUse()
		flood := make(chan struct{})
		go func() {
			defer close(flood)
			for i := range 2000 {
				fmt.Fprintf(b.peer, `{"id":%d,"method":"Sum","params":[1,%d]}`+"\n", i, i)
			}
		}()
		<-flood
		if over := int64(heapInUse()) - int64(base); over > 8<<20 {
			t.Errorf("%d bytes above base", over)
		}
		time.Sleep(time.Minute)
		var got []string
		for range 1000 {
			l := b.lines()
			if got = append(got, l...); len(l) == 0 {
				break
			}
		}
		s := b.conn.Stats()
		if s.Received != 2000 || len(got) != 2000-int(s.Unsent) || s.Unsent == 0 {
			t.Errorf("received %d, %d answered, %d dropped", s.Received, len(got), s.Unsent)
		}
		b.probe("a host that did not read")
		b.close()
	})
}
