package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// TestRow11: answers that come late, twice, in another order or to calls that
// never were, fit no call but their own. They are counted.
func TestRow11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{h.config("")}})
		host := r.module.Host("")
		var mu sync.Mutex
		ids := map[string]string{} // of the calls, by their params
		h.answer(func(line string) (string, bool) {
			if mjson.Find([]byte(line), "$.method").String() != `"Get"` {
				return "", false
			}
			mu.Lock()
			defer mu.Unlock()
			ids[mjson.Find([]byte(line), "$.params").String()] = mjson.Find([]byte(line), "$.id").String()
			return "", true // no answer yet
		})
		result := func(n int) string {
			mu.Lock()
			defer mu.Unlock()
			return fmt.Sprintf(`{"id":%s,"result":"of %d"}`+"\n", ids[fmt.Sprint(n)], n)
		}
		call := func(n int, patience time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := host.Call(ctx, nil, "Get", "%d", n)
			if err == nil && string(got) != fmt.Sprintf(`"of %d"`, n) {
				t.Errorf("call %d got %s", n, got)
			}
			return err
		}
		for n := range 5 {
			if err := call(n, time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("call %d without an answer: %v", n, err)
			}
		}
		var work sync.WaitGroup
		for n := 5; n < 20; n++ {
			work.Go(func() {
				if err := call(n, time.Minute); err != nil {
					t.Errorf("call %d: %v", n, err)
				}
			})
		}
		synctest.Wait()
		before := host.Stats().Port.RPC.Orphans
		for n := range 5 {
			h.send(result(n)) // late
		}
		h.send(`{"id":1,"result":"of nobody"}` + "\n" + `{"id":"x","error":{"code":1,"message":"m"}}` + "\n" + `{"id":null,"result":1}` + "\n")
		for n := 19; n >= 5; n-- {
			h.send(result(n) + result(n)) // the other way round, and twice
		}
		work.Wait()
		synctest.Wait()
		if got := host.Stats().Port.RPC.Orphans - before; got != 5+3+15 {
			t.Errorf("%d orphans", got)
		}
		seen := map[string]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		if len(seen) != 20 {
			t.Errorf("%d ids for 20 calls", len(seen))
		}
	})
}

// TestRow12: handlers on both sides call each other back, to depth 3, from both
// sides at once, while the host also publishes with QoS 1.
func TestRow12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: ccmtest.GenModern, Report: ccmtest.ReportNone})
		r := start(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{s.config("")}, Cloud: via(b)}, s)
		t.Cleanup(r.stop)
		h := r.module.Host("")
		deep := func(call func(ctx context.Context, n int64) ([]byte, error)) jsonrpc.HandlerFunc {
			return func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
				n, _ := r.Arg(0).Int()
				if n == 0 {
					w.Resultf("%Q", "bottom")
					return
				}
				got, err := call(ctx, n-1)
				if err != nil {
					w.Fail(err)
					return
				}
				w.Result(got)
			}
		}
		r.module.Handle("Test.Deep", deep(func(ctx context.Context, n int64) ([]byte, error) {
			if err := r.module.Publish(ctx, "deep", 1, []byte("from a handler")); err != nil {
				return nil, err
			}
			return ccm.HostFromContext(ctx).Call(ctx, nil, "Test.Deep", "[%ld]", n)
		}))
		s.mcu.Handle("Test.Deep", deep(func(ctx context.Context, n int64) ([]byte, error) {
			if err := s.mcu.Host().Publish(ctx, "deep", []byte("from the host"), 1); err != nil {
				return nil, err
			}
			return s.mcu.Host().Call(ctx, nil, "Test.Deep", "[%ld]", n)
		}))
		found(t, h)
		r.online()
		begin := time.Now()
		var work sync.WaitGroup
		for range 5 {
			work.Go(func() {
				if got, err := h.Call(t.Context(), nil, "Test.Deep", "[3]"); err != nil || string(got) != `"bottom"` {
					t.Errorf("from the module: %s, %v", got, err)
				}
			})
			work.Go(func() {
				if got, err := s.mcu.Host().Call(t.Context(), nil, "Test.Deep", "[3]"); err != nil || string(got) != `"bottom"` {
					t.Errorf("from the host: %s, %v", got, err)
				}
			})
		}
		work.Wait()
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("it took %v", d)
		}
		if got := b.Messages("deep"); len(got) != 30 {
			t.Errorf("%d messages", len(got))
		}
	})
}

// TestRow17: a call that was answered, by whatever error, is not sent again; one
// that was not answered is, under the same id, but only if HostConfig says that
// the host can bear it.
func TestRow17(t *testing.T) {
	for _, retries := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			h := newHand(t, ccmtest.Line{})
			cfg := h.config("")
			cfg.Retries = retries
			r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
			host := r.module.Host("")
			h.got()
			var lines atomic.Int64
			var id atomic.Value
			answer := ""
			h.answer(func(line string) (string, bool) {
				lines.Add(1)
				now := mjson.Find([]byte(line), "$.id").String()
				if was := id.Swap(now); lines.Load() > 1 && was != now {
					t.Errorf("sent again with the id %s, before %s", now, was)
				}
				return strings.ReplaceAll(answer, "ID", now), true
			})
			for _, tt := range []struct {
				answer string
				code   int
			}{
				{`{"id":ID,"error":{"code":-32601,"message":"method not found"}}`, -32601},
				{`{"id":ID,"error":{"code":-32602,"message":"bad params"}}`, -32602},
				{`{"id":ID,"error":{"code":504,"message":"timeout"}}`, 504},
				{`{"id":ID,"error":{"code":429,"message":"busy"}}`, 429},
				{`{"id":ID,"error":{"code":-32000,"message":"io error {io}","data":{"x":1}}}`, -32000},
				{`{"id":ID,"error":"no object"}`, -32603},
			} {
				answer = tt.answer
				lines.Store(0)
				begin := time.Now()
				_, err := host.Call(t.Context(), nil, "Get", "")
				e, is := errors.AsType[*jsonrpc.Error](err)
				if !is || e.Code != tt.code || lines.Load() != 1 || time.Since(begin) != 0 {
					t.Errorf("%s: %v, sent %d times in %v", tt.answer, err, lines.Load(), time.Since(begin))
				}
			}
			answer = ""
			lines.Store(0)
			ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
			_, err := host.Call(ctx, nil, "Get", "")
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || int(lines.Load()) != 1+retries {
				t.Errorf("no answer: %v, sent %d times", err, lines.Load())
			}
			if got := host.Stats().Port.RPC.Retried; got != uint64(retries) {
				t.Errorf("%d retries counted", got)
			}
		})
	}
}
