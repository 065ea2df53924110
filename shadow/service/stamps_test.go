package service_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// TestMetadata makes random changes and compares the metadata with a model that
// keeps the time of each value in a tree of maps, also after a restart.
func TestMetadata(t *testing.T) {
	for seed := range heavy(200) {
		bubble(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			cfg := service.WithDisk(service.Config{Dir: "d"}, faultfs.New())
			s := open(t, cfg)
			model := map[string]any{}
			for n := range 60 {
				section := []string{"desired", "reported"}[rnd.IntN(2)]
				patch := randomObject(rnd, 3)
				now := time.Now().Unix()
				text, err := json.Marshal(map[string]any{"state": map[string]any{section: patch}})
				if err != nil {
					t.Fatal(err)
				}
				accepted, err := s.Update(t.Context(), "t", "", text)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				check(t, accepted, map[string]any{section: touched(patch, now, true)})
				old, _ := model[section].(map[string]any)
				if model[section] = merged(old, patch, now); len(model[section].(map[string]any)) == 0 {
					delete(model, section)
				}
				if n%10 == 9 {
					s = open(t, cfg)
				}
				got, err := s.Get("t", "")
				if err != nil {
					t.Fatal(err)
				}
				check(t, got, model)
				time.Sleep(time.Duration(rnd.IntN(3)) * time.Second)
			}
		})
	}
}

// check compares the metadata of a payload.
func check(t *testing.T, payload []byte, want map[string]any) {
	t.Helper()
	var got struct{ Metadata map[string]any }
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Metadata) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(got.Metadata, want) {
		text, _ := json.Marshal(want)
		t.Fatalf("%s\nwant metadata %s", payload, text)
	}
}

// merged is RFC 7396, on the metadata of the target.
func merged(target, patch map[string]any, now int64) map[string]any {
	result := map[string]any{}
	for k, v := range target {
		result[k] = v
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(result, k)
		case map[string]any:
			old, _ := result[k].(map[string]any)
			if _, leaf := old["timestamp"].(float64); leaf && len(old) == 1 {
				old = nil
			}
			result[k] = merged(old, v, now)
		default:
			result[k] = touched(v, now, false)
		}
	}
	return result
}

// touched is the metadata of a value that changes now.
func touched(v any, now int64, nulls bool) any {
	switch v := v.(type) {
	case map[string]any:
		result := map[string]any{}
		for k, m := range v {
			result[k] = touched(m, now, nulls)
		}
		return result
	case []any:
		result := []any{}
		for _, e := range v {
			result = append(result, touched(e, now, nulls))
		}
		return result
	}
	return map[string]any{"timestamp": float64(now)}
}

// randomObject returns an object of few names, so that changes meet.
func randomObject(rnd *rand.Rand, depth int) map[string]any {
	o := map[string]any{}
	for range rnd.IntN(4) {
		name := []string{"a", "b", "ä\"", "", strconv.Itoa(rnd.IntN(30))}[rnd.IntN(5)]
		switch kind := rnd.IntN(6); {
		case kind == 0:
			o[name] = nil
		case kind == 1 && depth >= 0:
			list := []any{}
			for range rnd.IntN(3) {
				list = append(list, randomObject(rnd, -1))
			}
			o[name] = list
		case kind < 4 && depth > 0:
			o[name] = randomObject(rnd, depth-1)
		default:
			o[name] = rnd.IntN(3)
		}
	}
	return o
}
