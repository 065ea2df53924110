package config_test

import (
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// TestWatch tells watchers what concerns them, once.
func TestWatch(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{})
	var told []string
	watch := func(name, pattern string) func() {
		return s.Watch(pattern, func(changed []string) { told = append(told, name+":"+strings.Join(changed, "+")) })
	}
	expect := func(want string) {
		t.Helper()
		if got := strings.Join(told, " "); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		told = nil
	}
	stopWifi := watch("wifi", "wifi.*")
	stopAll := watch("all", "*")
	watch("some", "-mqtt.pass,mqtt.*")
	must(t, s.Set(set(`{"mqtt":{"pass":"p"},"wifi":{"sta":{"ssid":"a"}}}`)))
	expect("wifi:wifi.sta.ssid all:wifi.sta.ssid+mqtt.pass")
	must(t, s.Set(set(`{"mqtt":{"pass":"p","keep_alive":60},"wifi":{"sta":{"ssid":"a"}}}`)))
	expect("")
	if s.Set(set(`{"mqtt":{"user":"u","enable":7}}`)) == nil {
		t.Error("no error")
	}
	expect("")
	stopWifi()
	stopWifi()
	must(t, s.Set(set(`{"mqtt":{"user":"u"},"wifi":{"sta":{"ssid":""}}}`)))
	expect("all:wifi.sta.ssid+mqtt.user some:mqtt.user")
	must(t, s.Save(normal))
	expect("")
	must(t, s.FactoryReset())
	expect("all:mqtt.user+mqtt.pass some:mqtt.user")
	stopAll()
	must(t, s.Set(set(`{"wifi":{"sta":{"ssid":"z"}}}`)))
	expect("")
}

// TestWatchUsesStore has a watcher change the store, stop others, and panic.
func TestWatchUsesStore(t *testing.T) {
	s := open(t, faultfs.New(), config.Options{})
	var told []string
	var stopSecond func()
	s.Watch("mqtt.user", func([]string) {
		told = append(told, "first")
		stopSecond()
		must(t, s.Set(setKey("mqtt.client_id", `"`+s.String("mqtt.user")+`"`)))
		told = append(told, "end")
	})
	stopSecond = s.Watch("*", func([]string) { told = append(told, "second") })
	s.Watch("mqtt.client_id", func([]string) { told = append(told, "third") })
	must(t, s.Set(setKey("mqtt.user", `"u"`)))
	if got := strings.Join(told, " "); got != "first end third" || s.String("mqtt.client_id") != "u" {
		t.Error(got)
	}
	stop := s.Watch("device.sn", func([]string) { panic("mine") })
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("no panic")
			}
		}()
		s.Set(setKey("device.sn", `"1"`))
	}()
	stop()
	told = nil
	must(t, s.Set(setKey("mqtt.client_id", `"v"`)))
	if strings.Join(told, " ") != "third" {
		t.Error(told)
	}
}
