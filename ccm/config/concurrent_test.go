package config_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// TestC7Concurrent has eight goroutines read, set and save. Each key has one writer,
// which sets it to ever larger numbers; so every reader must see values that never
// fall, that are not behind what was set before it began to read, and not ahead of
// what the writer has begun to set. Two keys that are set together are equal in every
// view and in every tree.
func TestC7Concurrent(t *testing.T) {
	const workers = 8
	perWorker := heavy(100_000) / workers
	disk := faultfs.New()
	s := open(t, disk, config.Options{})
	pairs := [workers][2]string{} // keys that are set together
	for i, list := range []string{"mqtt.keep_alive mqtt1.keep_alive", "mqtt.max_qos mqtt1.max_qos", "update.timeout update.interval",
		"debug.level debug.event_level", "rpc.uart.baud_rate rpc.uart.uart_no", "http.auth_algo bt.gatt_mtu", "wifi.ap.channel wifi.sta.channel",
		"gcp.token_ttl azure.token_ttl"} {
		a, b, _ := strings.Cut(list, " ")
		pairs[i] = [2]string{a, b}
		must(t, s.Set(tie(pairs[i], 0)))
	}
	var begun, done [workers]atomic.Int64
	var told atomic.Int64
	defer s.Watch("*", func([]string) { told.Add(1) })()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(w)))
			var seen [workers]int64
			for op := range perWorker {
				switch random.IntN(10) {
				case 0, 1, 2:
					n := begun[w].Add(1)
					if err := s.Set(tie(pairs[w], n)); err != nil {
						t.Error(err)
					}
					done[w].Store(n)
				case 3:
					if op%50 == 0 {
						if err := s.Save(config.SaveOptions{TryOnce: random.IntN(4) == 0}); err != nil {
							t.Error(err)
						}
					}
					if err := s.Set(setKey(pairs[w][0], `"no number"`)); err == nil {
						t.Error("no error")
					}
				default:
					of := random.IntN(workers)
					least := max(done[of].Load(), seen[of])
					a, b := readPair(t, s, pairs[of], random.IntN(3))
					most := begun[of].Load()
					if a != b || a < least || a > most {
						t.Errorf("%v are %d and %d, want %d to %d", pairs[of], a, b, least, most)
						return
					}
					seen[of] = a
				}
			}
		})
	}
	wg.Wait()
	must(t, s.Save(normal))
	if again := open(t, disk, config.Options{}); tree(t, again) != tree(t, s) || len(again.Problems()) > 0 {
		t.Errorf("%v", again.Problems())
	}
	for w := range workers {
		if int64(s.Int(pairs[w][0])) != begun[w].Load() {
			t.Errorf("%v ends as %d, set was %d", pairs[w], s.Int(pairs[w][0]), begun[w].Load())
		}
	}
	t.Logf("%d operations, %d calls of the watcher", workers*perWorker, told.Load())
}

// tie is a change that sets two keys to the same number; rpc.uart.baud_rate and the
// like take any.
func tie(keys [2]string, n int64) config.Change {
	text := strconv.FormatInt(n, 10)
	return set(merge(nest(keys[0], text), nest(keys[1], text)))
}

// nest returns the tree with one value.
func nest(key, value string) string {
	parts := strings.Split(key, ".")
	for i := len(parts) - 1; i >= 0; i-- {
		value = `{"` + parts[i] + `":` + value + `}`
	}
	return value
}

// merge joins two trees of objects.
func merge(a, b string) string {
	var x, y map[string]any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		panic(err)
	}
	var join func(x, y map[string]any)
	join = func(x, y map[string]any) {
		for k, v := range y {
			if below, both := x[k].(map[string]any); both {
				join(below, v.(map[string]any))
			} else {
				x[k] = v
			}
		}
	}
	join(x, y)
	text, _ := json.Marshal(x)
	return string(text)
}

// readPair reads two keys at one moment, in one of three ways; the first way reads
// only one, twice the same.
func readPair(t *testing.T, s *config.Store, keys [2]string, way int) (a, b int64) {
	switch way {
	case 0:
		n := int64(s.Int(keys[0]))
		return n, n
	case 1:
		v := s.View()
		return int64(v.Int(keys[0])), int64(v.Int(keys[1]))
	}
	text, err := s.AppendJSON(nil, "", config.GetOptions{})
	if err != nil {
		t.Error(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Error(err)
	}
	value := func(key string) int64 {
		var v any = all
		for part := range strings.SplitSeq(key, ".") {
			v = v.(map[string]any)[part]
		}
		return int64(v.(float64))
	}
	return value(keys[0]), value(keys[1])
}
