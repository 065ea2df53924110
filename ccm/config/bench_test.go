package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/internal/race"
)

// BenchmarkGetAll prints the whole tree, as Config.Get without a key does.
func BenchmarkGetAll(b *testing.B) {
	s := open(b, faultfs.New(), config.Options{RootKey: rootKey})
	must(b, s.Set(big("text")))
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		text, _ = s.AppendJSON(text[:0], "", config.GetOptions{})
	}
	b.SetBytes(int64(len(text)))
}

// BenchmarkGetOne reads one value of each type.
func BenchmarkGetOne(b *testing.B) {
	s := open(b, faultfs.New(), config.Options{})
	must(b, s.Set(big("text")))
	b.ReportAllocs()
	for b.Loop() {
		if !s.Bool("mqtt.enable") || s.Int("mqtt.keep_alive") == 0 || s.String("mqtt.user") == "" {
			b.Fatal("no value")
		}
	}
}

// BenchmarkSetSave sets some values and saves them on the disk of this machine.
func BenchmarkSetSave(b *testing.B) {
	s, err := config.Open(b.Context(), config.Options{Dir: b.TempDir(), MAC: mac, RootKey: rootKey})
	must(b, err)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		must(b, s.Update(big("round"+strconv.Itoa(n)), &normal))
	}
}

// BenchmarkOpen reads the user's level.
func BenchmarkOpen(b *testing.B) {
	disk := faultfs.New()
	must(b, open(b, disk, config.Options{}).Update(big("text"), &normal))
	b.ReportAllocs()
	for b.Loop() {
		open(b, disk, config.Options{RootKey: rootKey})
	}
}

// BenchmarkStores opens 10 000 stores, each with a configuration as a device in the
// field has it, encrypted, and reports what one takes beyond the schema.
func BenchmarkStores(b *testing.B) {
	const stores = 10_000
	for b.Loop() {
		b.ReportMetric(storeBytes(b, stores), "B/store")
	}
}

// storeBytes returns the memory that one of n stores takes. Each has a vendor's level
// and one of the user's.
func storeBytes(t testing.TB, n int) float64 {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "conf5.json"), []byte(vendor5), 0o600))
	s, err := config.Open(t.Context(), config.Options{Dir: dir, RootKey: rootKey})
	must(t, err)
	must(t, s.Update(big("text"), &normal))
	all := make([]*config.Store, n)
	before := heap()
	for i := range all {
		all[i], err = config.Open(t.Context(), config.Options{Dir: dir, RootKey: rootKey})
		must(t, err)
		must(t, all[i].Set(setKey("mqtt.user", `"user-`+strconv.Itoa(i)+`"`)))
	}
	took := heap() - before
	runtime.KeepAlive(all)
	return float64(took) / float64(n)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestStoreBytes holds the bound of 16 KiB.
func TestStoreBytes(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector takes memory of its own")
	}
	if took := storeBytes(t, heavy(10_000)); took > 16<<10 {
		t.Errorf("%.0f bytes a store", took)
	} else {
		t.Logf("%.0f bytes a store", took)
	}
}

// TestReadAllocs reads values without allocating.
func TestReadAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	s := open(t, faultfs.New(), config.Options{})
	must(t, s.Set(big("text")))
	buffer := make([]byte, 0, 64<<10)
	for name, f := range map[string]func(){
		"Bool":       func() { s.Bool("mqtt.enable") },
		"Int":        func() { s.Int("mqtt.keep_alive") },
		"String":     func() { s.String("mqtt.user") },
		"AppendJSON": func() { s.AppendJSON(buffer, "mqtt", config.GetOptions{}) },
	} {
		if n := testing.AllocsPerRun(100, f); n > 2 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
