package jsonrpc

import (
	"encoding/json"
	"os"
	"testing"
)

func BenchmarkValid16K(b *testing.B) {
	data, err := os.ReadFile("../bench/testdata/late16k.json")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ccmkit", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if !Valid(data) {
				b.Fatal("invalid")
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if !json.Valid(data) {
				b.Fatal("invalid")
			}
		}
	})
}
