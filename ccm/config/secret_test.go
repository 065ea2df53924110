package config_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// seal encrypts as spec/security.md 6 says, with nothing of the package under test.
func seal(t testing.TB, root [32]byte, key, id, value string) string {
	t.Helper()
	data, err := hkdf.Key(sha256.New, root[:], nil, "ccm config v1", 32)
	must(t, err)
	block, err := aes.NewCipher(data)
	must(t, err)
	gcm, err := cipher.NewGCM(block)
	must(t, err)
	nonce := []byte("twelve bytes")
	sum := sha256.Sum256(data)
	sealed := gcm.Seal(nonce, nonce, []byte(value), []byte("ccm-conf-v1\x00"+key+"\x00"+id))
	return "$enc1$" + hex.EncodeToString(sum[:4]) + "$" + base64.RawStdEncoding.EncodeToString(sealed)
}

var encrypted = config.Options{RootKey: rootKey}

// TestSealedFormat reads what another program has encrypted.
func TestSealedFormat(t *testing.T) {
	for _, c := range []struct {
		name, key, id, want string
		root                byte
	}{
		{"good", "wifi.sta.pass", "ccm_A1B2C3", "geheim", 1},
		{"another key of the configuration", "wifi.sta1.pass", "ccm_A1B2C3", "", 1},
		{"another device", "wifi.sta.pass", "ccm_A1B2C4", "", 1},
		{"another root key", "wifi.sta.pass", "ccm_A1B2C3", "", 2},
	} {
		disk := faultfs.New()
		text := seal(t, [32]byte{c.root, 2, 3}, c.key, c.id, "geheim")
		put(t, disk, "conf9.json", `{"wifi":{"sta":{"ssid":"net","pass":"`+text+`"}}}`)
		s := open(t, disk, encrypted)
		if s.String("wifi.sta.pass") != c.want || s.String("wifi.sta.ssid") != "net" || (len(s.Problems()) > 0) != (c.want == "") || s.Status().AtRest != "encrypted" {
			t.Errorf("%s: %q, %v", c.name, s.String("wifi.sta.pass"), s.Problems())
		}
		if broken := s.Status().Unreadable; (len(broken) == 1 && broken[0] == "wifi.sta.pass") != (c.want == "") {
			t.Errorf("%s: %v", c.name, broken)
		}
		must(t, s.Update(setKey("mqtt.user", `"u"`), &normal))
		if kept := strings.Contains(get(disk, "conf9.json"), text); kept != (c.want == "") {
			t.Errorf("%s: kept %v\n%s", c.name, kept, get(disk, "conf9.json"))
		}
		must(t, s.Update(setKey("wifi.sta.pass", `"********"`), &normal))
		if kept := strings.Contains(get(disk, "conf9.json"), text); kept != (c.want == "") {
			t.Errorf("%s: stars: kept %v", c.name, kept)
		}
		must(t, s.Update(setKey("wifi.sta.pass", `""`), &normal))
		if strings.Contains(get(disk, "conf9.json"), "$enc1$") || len(s.Status().Unreadable) > 0 {
			t.Errorf("%s: not forgotten", c.name)
		}
	}
}

// TestEncrypted encrypts what is saved, anew each time.
func TestEncrypted(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf5.json", `{"dash":{"token":"clear-token"}}`)
	put(t, disk, "conf9.json", `{"wifi":{"sta":{"pass":"clear-pass"}}}`)
	s := open(t, disk, encrypted)
	if s.String("wifi.sta.pass") != "clear-pass" || !s.Status().Unsaved {
		t.Error("clear values are read, and encrypted at the next save")
	}
	must(t, s.Save(normal))
	first := get(disk, "conf9.json")
	if strings.Contains(first, "clear") || get(disk, "conf5.json") != `{"dash":{"token":"clear-token"}}` {
		t.Error(files(t, disk))
	}
	must(t, s.Update(setKey("mqtt.user", `"u"`), &normal))
	line := func(text string) string {
		_, text, _ = strings.Cut(text, `"pass": `)
		return text[:strings.IndexByte(text, '\n')]
	}
	if line(first) == line(get(disk, "conf9.json")) {
		t.Error("the nonce is not fresh")
	}
	must(t, s.Update(config.Change{Key: "dash.token", Value: []byte(`"new-token"`), Vendor: true, Level: 5}, &normal))
	if strings.Contains(files(t, disk), "token\": \"new") {
		t.Error(files(t, disk))
	}
	again := open(t, disk, encrypted)
	if again.String("wifi.sta.pass") != "clear-pass" || again.String("dash.token") != "new-token" || len(again.Problems()) > 0 {
		t.Error(again.Problems())
	}
	must(t, again.Update(setKey("dash.token", `""`), &normal)) // unset by the user, over the vendor's
	if !strings.Contains(get(disk, "conf9.json"), `"token": ""`) {
		t.Error(files(t, disk))
	}
	if third := open(t, disk, encrypted); third.String("dash.token") != "" || len(third.Problems()) > 0 {
		t.Error(third.Problems())
	}
}

// TestE2Tamper changes each byte of an encrypted value to all others: it reads as
// unset, or the file is none any more. A byte that becomes a backslash may make an
// escape with the next one, which depends on the key.
func TestE2Tamper(t *testing.T) {
	for _, first := range "bfd3" { // of the name of the key
		t.Run(string(first), func(t *testing.T) { tamper(t, string(first)) })
	}
}

// tamper does so with a key whose name begins with a digit.
func tamper(t *testing.T, first string) {
	root := [32]byte{}
	for ; !strings.HasPrefix(seal(t, root, "", "", ""), "$enc1$"+first); root[0]++ {
		if root[0] == 255 {
			t.Fatal("no such key")
		}
	}
	o := config.Options{RootKey: config.RootKeyFunc(func(context.Context) ([32]byte, error) { return root, nil })}
	ready := faultfs.New()
	s := open(t, ready, o)
	must(t, s.Update(set(`{"wifi":{"sta":{"ssid":"net","pass":"geheim"}}}`), &normal))
	text := get(ready, "conf9.json")
	from := strings.Index(text, "$enc1$")
	to := from + strings.IndexByte(text[from:], '"')
	tries := 0
	try := func(changed string) {
		tries++
		disk := ready.Restart(intact)
		put(t, disk, "conf9.json", changed)
		s := open(t, disk, o)
		if s.String("wifi.sta.pass") != "" || len(s.Problems()) == 0 {
			t.Fatalf("%q, %v of\n%s", s.String("wifi.sta.pass"), s.Problems(), changed)
		}
	}
	step := 10 / heavy(10)
	for i := from; i < to; i++ {
		try(text[:i] + `\` + text[i+1:])
		for b := i % step; b < 256; b += step {
			if byte(b) != text[i] {
				try(text[:i] + string([]byte{byte(b)}) + text[i+1:])
			}
		}
		if i >= from+len("$enc1$") { // less is a value in clear
			try(text[:i] + text[to:])
		}
	}
	for _, more := range []string{"A", "=", "==", `\n`, `\r\n`, " "} {
		try(text[:to] + more + text[to:])
	}
	t.Logf("%d changes", tries)
}

// TestE3Move moves an encrypted value to another key, and to another device.
func TestE3Move(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, encrypted)
	must(t, s.Update(set(`{"wifi":{"sta":{"pass":"geheim"}}}`), &normal))
	text := get(disk, "conf9.json")
	value := text[strings.Index(text, "$enc1$"):]
	value = value[:strings.IndexByte(value, '"')]
	for name, file := range map[string]string{
		"another key":   `{"wifi":{"sta1":{"pass":"` + value + `"}}}`,
		"a longer key":  `{"mqtt":{"pass":"` + value + `"}}`,
		"no secret":     `{"mqtt":{"user":"` + value + `"}}`,
		"another id":    `{"device":{"id":"ccm_other"},"wifi":{"sta":{"pass":"` + value + `"}}}`,
		"the same":      text,
		"another level": ``,
	} {
		other := faultfs.New()
		if file == "" {
			put(t, other, "conf5.json", text)
		} else {
			put(t, other, "conf9.json", file)
		}
		s := open(t, other, encrypted)
		readable := strings.Contains(tree(t, s), "geheim")
		if want := file == text || file == ""; readable != want {
			t.Errorf("%s: readable %v", name, readable)
		}
	}
	moved := open(t, disk, config.Options{RootKey: rootKey, MAC: "A0B1C2A1B2C4"})
	if moved.String("wifi.sta.pass") != "" || len(moved.Problems()) != 1 {
		t.Error("readable on another device")
	}
}

// TestE4KeyLost starts without the key, or with another one, and is provisioned again.
func TestE4KeyLost(t *testing.T) {
	other := config.RootKeyFunc(func(context.Context) ([32]byte, error) { return [32]byte{9}, nil })
	for name, o := range map[string]config.Options{"no key": {}, "another key": {RootKey: other}} {
		disk := faultfs.New()
		s := open(t, disk, encrypted)
		must(t, s.Update(set(`{"wifi":{"sta":{"ssid":"net","pass":"geheim"}},"dash":{"token":"tok"}}`), &normal))
		s = open(t, disk, o)
		if s.String("wifi.sta.ssid") != "net" || s.String("wifi.sta.pass") != "" || strings.Join(s.Status().Unreadable, " ") != "wifi.sta.pass dash.token" {
			t.Errorf("%s: %v", name, s.Status())
		}
		must(t, s.Update(set(`{"wifi":{"sta":{"ssid":"new","pass":"password"}}}`), &normal))
		again := open(t, disk, o)
		if again.String("wifi.sta.pass") != "password" || strings.Join(again.Status().Unreadable, " ") != "dash.token" {
			t.Errorf("%s: %v", name, again.Status())
		}
		found := open(t, disk, encrypted) // the key is found again
		if found.String("dash.token") != "tok" {
			t.Errorf("%s: the value was not kept: %v", name, found.Problems())
		}
	}
}

// TestSealedUnsuitable has encrypted what the key cannot have.
func TestSealedUnsuitable(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf9.json", `{"wifi":{"sta":{"pass":"`+seal(t, [32]byte{1, 2, 3}, "wifi.sta.pass", "ccm_A1B2C3", strings.Repeat("x", 65))+`"}}}`)
	if s := open(t, disk, encrypted); s.String("wifi.sta.pass") != "" || len(s.Problems()) != 1 {
		t.Errorf("%q, %v", s.String("wifi.sta.pass"), s.Problems())
	}
}

// TestSealedFallsBack has an unreadable value of the user's show that of the vendor.
func TestSealedFallsBack(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf5.json", `{"dash":{"token":"vendor"}}`)
	put(t, disk, "conf9.json", `{"dash":{"token":"`+seal(t, [32]byte{7}, "dash.token", "ccm_A1B2C3", "user")+`"}}`)
	if s := open(t, disk, encrypted); s.String("dash.token") != "vendor" {
		t.Errorf("%q", s.String("dash.token"))
	}
}

// TestNewDeviceID changes the id to which secrets are bound.
func TestNewDeviceID(t *testing.T) {
	disk := faultfs.New()
	s := open(t, disk, encrypted)
	must(t, s.Update(config.Change{Key: "dash.token", Value: []byte(`"vendor"`), Vendor: true, Level: 5}, &normal))
	must(t, s.Update(setKey("wifi.sta.pass", `"password"`), &normal))
	check := func(name string) {
		t.Helper()
		again := open(t, disk, encrypted)
		if len(again.Problems()) > 0 || again.String("dash.token") != "vendor" || again.String("wifi.sta.pass") != "password" {
			t.Errorf("%s: %v", name, again.Problems())
		}
	}
	must(t, s.Set(setKey("mqtt.user", `"unsaved"`)))
	must(t, s.Update(config.Change{Key: "device.id", Value: []byte(`"fleet_??"`), Vendor: true, Level: 3}, &normal))
	check("level 3")
	if strings.Contains(get(disk, "conf9.json"), "unsaved") {
		t.Error("what was not saved was saved")
	}
	must(t, s.Update(setKey("device.id", `"mine"`), &normal))
	check("level 9")
	must(t, s.Update(config.Change{Key: "device.id", Value: []byte(`"fleet2"`), Vendor: true, Level: 5}, &normal))
	check("level 5")
	if s.String("device.id") != "mine" {
		t.Error(s.String("device.id"))
	}
}

// TestRedacted shows no secret to anybody.
func TestRedacted(t *testing.T) {
	var log bytes.Buffer
	disk := faultfs.New()
	canary := "canary-secret"
	secrets := []string{"wifi.ap.pass", "wifi.sta.pass", "wifi.sta1.pass", "wifi.sta2.pass", "wifi.sta.key", "wifi.sta1.key", "wifi.sta2.key",
		"mqtt.pass", "mqtt1.pass", "mqtt.ssl_psk_key", "mqtt1.ssl_psk_key", "dash.token", "azure.cs", "device.license",
		"watson.token", "update.extra_http_headers", "http.auth_domain", "http.auth_file"}
	o := config.Options{RootKey: rootKey, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s := open(t, disk, o)
	var flagged []string
	for _, k := range s.Schema().Keys() {
		if k.Secret {
			flagged = append(flagged, k.Name)
			if got, _ := s.AppendJSON(nil, k.Name, config.GetOptions{}); string(got) != `""` {
				t.Errorf("%s is empty and shows %s", k.Name, got)
			}
			must(t, s.Set(setKey(k.Name, `"`+canary+`"`)))
			must(t, s.Set(setKey(k.Name, `"********"`)))
			if s.String(k.Name) != canary {
				t.Errorf("%s: %q", k.Name, s.String(k.Name))
			}
		}
	}
	for _, key := range secrets {
		if k, _ := s.Schema().Lookup(key); !k.Secret {
			t.Errorf("%s is not secret", key)
		}
	}
	if len(flagged) != len(secrets) {
		t.Errorf("secret are %v", flagged)
	}
	must(t, s.Save(config.SaveOptions{TryOnce: true}))
	must(t, s.Save(normal))
	change := set(`{"dash":{"token":"` + canary + `"}}`)
	change2 := setKey("dash.token", `"`+canary+`"`)
	again := open(t, disk, o)
	public := []any{s, again, s.Secret("dash.token"), s.View(), s.Status(), again.Problems(), change, &change, change2, s.Schema(), *s.Schema(), o,
		fmt.Sprint(s.Set(setKey("dash.token", `["`+canary+`"]`)))}
	for _, v := range public {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, canary) || strings.Contains(text, hex.EncodeToString([]byte(canary))) {
				t.Errorf("%s of a %T: %s", verb, v, text)
			}
		}
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	}
	whole, err := s.AppendJSON(nil, "", config.GetOptions{})
	must(t, err)
	for name, text := range map[string]string{"log": log.String(), "files": files(t, disk), "tree": string(whole)} {
		if strings.Contains(text, canary) {
			t.Errorf("%s has a secret:\n%s", name, text)
		}
	}
	if n := strings.Count(string(whole), `"********"`); n != len(secrets) {
		t.Errorf("%d secrets are shown as stars", n)
	}
	if string(s.Secret("dash.token")) != canary {
		t.Errorf("%q", string(s.Secret("dash.token")))
	}
	if !strings.Contains(tree(t, s), canary) {
		t.Error("Reveal does not")
	}
}

// TestPlain stores secrets in clear, and says so once.
func TestPlain(t *testing.T) {
	var log bytes.Buffer
	s := open(t, faultfs.New(), config.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)),
		RootKey: config.FirstKey(config.RootKeyFunc(func(context.Context) ([32]byte, error) { return [32]byte{}, config.ErrNoRootKey }))})
	for range 3 {
		must(t, s.Update(setKey("dash.token", `"a"`), &normal))
		must(t, s.Update(setKey("dash.token", `"b"`), &normal))
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || s.Status().AtRest != "plain" {
		t.Errorf("%s%v", log.String(), s.Status())
	}
}

// TestRootKeyFails does not start when the provider fails otherwise than by having no
// key: it must not write in clear what was to be encrypted.
func TestRootKeyFails(t *testing.T) {
	broken := errors.New("the TPM is gone")
	disk := faultfs.New()
	_, err := start(disk, config.Options{RootKey: config.FirstKey(config.SystemdCredential(),
		config.RootKeyFunc(func(context.Context) ([32]byte, error) { return [32]byte{}, broken }), rootKey)})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestNothingShows prints, logs and encodes what holds secrets, by value, by pointer and
// inside of something: nothing has them, neither as they are nor in base64.
func TestNothingShows(t *testing.T) {
	const canary = "c4n4ry-canary"
	change := config.Change{Config: []byte(canary), Key: "mqtt.pass", Value: []byte(canary), Level: 3}
	s := open(t, faultfs.New(), encrypted)
	must(t, s.Set(setKey("mqtt.pass", `"`+canary+`"`)))
	options := config.Options{Dir: dir, RootKey: rootKey}
	for name, v := range map[string]any{"Change": change, "*Change": &change, "[]Change": []config.Change{change},
		"struct": struct{ C config.Change }{change}, "Store": s, "View": s.View(), "Secret": s.Secret("mqtt.pass"), "Status": s.Status(),
		"Problems": s.Problems(), "Schema": s.Schema(), "Options": options} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		if text, err := json.Marshal(v); err == nil { // Options has a function, which JSON refuses
			out.Write(text)
		} else if name != "Options" {
			t.Errorf("%s: %v", name, err)
		}
		for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))[:12], hex.EncodeToString([]byte(canary))} {
			if strings.Contains(out.String(), form) {
				t.Errorf("%s shows %s:\n%s", name, form, out.String())
			}
		}
	}
	if text := fmt.Sprint(change); !strings.Contains(text, "mqtt.pass") || !strings.Contains(text, "Level:3") {
		t.Error(text)
	}
}

// TestRedactedLevels reads the secrets of saved levels: they are stars like the live
// ones, at every level, unless they are asked for.
func TestRedactedLevels(t *testing.T) {
	disk := faultfs.New()
	put(t, disk, "conf5.json", `{"mqtt":{"pass":"of-the-vendor"}}`)
	s := open(t, disk, encrypted)
	must(t, s.Update(setKey("mqtt.pass", `"of-the-user"`), &normal))
	for layers, want := range []string{"of-the-user", "", "", "", "", "", "of-the-vendor", "of-the-vendor", "of-the-vendor", "of-the-vendor"} {
		shown := want
		if want != "" {
			shown = "********"
		}
		for _, key := range []string{"mqtt.pass", "mqtt", ""} {
			text, err := s.AppendJSON(nil, key, config.GetOptions{Layers: layers})
			if err != nil || strings.Contains(string(text), "of-the-") || key == "mqtt.pass" && string(text) != `"`+shown+`"` {
				t.Errorf("%d layers, %q: %s, %v", layers, key, text, err)
			}
		}
		text, err := s.AppendJSON(nil, "mqtt.pass", config.GetOptions{Layers: layers, Reveal: true})
		if err != nil || string(text) != `"`+want+`"` {
			t.Errorf("%d layers: %s, %v, want %q", layers, text, err, want)
		}
	}
}
