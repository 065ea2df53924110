package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/internal/vectors"
)

// otherDefaults are the defaults that are not those of the libraries: of the CCM
// manual, and of rulings D5.
var otherDefaults = map[string]string{
	"device.id":             `"ccm_??????"`,
	"wifi.ap.ssid":          `"CCM_??????"`,
	"wifi.ap.pass":          `""`,
	"rpc.auth_algo":         `1`,
	"provision.btn.pin":     `0`,
	"provision.btn.pull_up": `true`,
}

// TestVectorsSchema demands every key that the mos tool may set, with its type and
// default.
func TestVectorsSchema(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{})
	types := map[string]config.Type{"b": config.Bool, "i": config.Int, "d": config.Double, "s": config.String}
	for _, file := range vectors.Files(t, "mos/config-schema.json") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rows []struct {
			Key, Type string
			Default   json.RawMessage
		}
		if err := json.Unmarshal(text, &rows); err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			t.Fatalf("%s: no rows", file)
		}
		for _, row := range rows {
			k, is := s.Schema().Lookup(row.Key)
			if !is || k.Type != types[row.Type] {
				t.Errorf("%s: %v %v, want type %s", row.Key, is, k.Type, row.Type)
				continue
			}
			want := string(row.Default)
			if other := otherDefaults[row.Key]; other != "" {
				want = other
			}
			got, err := s.AppendJSON(nil, row.Key, config.GetOptions{Layers: 1})
			if err != nil || !sameJSON(t, got, want) {
				t.Errorf("%s: %s, %v, want %s", row.Key, got, err, want)
			}
		}
		t.Logf("%s: %d of %d rows", filepath.Base(file), len(rows), len(rows))
	}
}

func sameJSON(t *testing.T, a []byte, b string) bool {
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Error(err)
	}
	return x == y
}

// TestVectorsACL sets each key of the rows under the list of the row: in a tree, by
// its name, and by the name of what is above it. Keys with a slash are none here.
func TestVectorsACL(t *testing.T) {
	name := regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	vectors.Each(t, "bad/acl/conf_acl.jsonl", 1, func(t *testing.T, row struct {
		ACL, Key string
		Allow    bool
	}) {
		if !name.MatchString(row.Key) {
			return // the schema cannot have it; package internal/acl judges it
		}
		schema, err := config.NewSchema(config.Key{Name: "conf_acl", Type: config.String, Default: `"*"`})
		must(t, err)
		if row.Key != "conf_acl" {
			schema, err = schema.With(config.Key{Name: row.Key, Type: config.String})
			must(t, err)
		}
		s := open(t, faultfs.New(), config.Options{Schema: schema})
		must(t, s.Set(config.Change{Key: "conf_acl", Value: quote(row.ACL), Vendor: true}))
		before := tree(t, s)
		parts := strings.Split(row.Key, ".")
		for depth := range len(parts) + 1 {
			c := config.Change{Key: strings.Join(parts[:depth], "."), ACL: "*"}
			value := `"new"`
			for i := len(parts) - 1; i >= depth; i-- {
				value = `{"` + parts[i] + `":` + value + `}`
			}
			if depth == 0 {
				c.Config = []byte(value)
			} else {
				c.Value = []byte(value)
			}
			err := s.Set(c)
			if allowed := err == nil; allowed != row.Allow {
				t.Errorf("key %q, value %s: %v", c.Key, value, err)
			}
			e, is := errors.AsType[*config.KeyError](err)
			if !row.Allow && (!is || e.Kind != config.Denied || e.Key != row.Key || !errors.Is(err, config.ErrDenied) || tree(t, s) != before) {
				t.Errorf("key %q, value %s: %v, tree %s", c.Key, value, err, tree(t, s))
			}
			must(t, s.Set(config.Change{Key: row.Key, Value: []byte(`""`), Vendor: true}))
			must(t, s.Set(config.Change{Key: "conf_acl", Value: quote(row.ACL), Vendor: true}))
		}
	})
}

func quote(s string) []byte {
	text, _ := json.Marshal(s)
	return text
}
