package config_test

import (
	"context"
	"fmt"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/config"
)

// A vendor locks all but the wireless network, and a user sets that.
func Example() {
	ctx := context.Background()
	o := config.Options{FS: ccmtest.NewDisk(), Dir: "ccm", MAC: "A0B1C2A1B2C3"} // on a device: Dir only
	store, err := config.Open(ctx, o)
	if err != nil {
		fmt.Println(err)
		return
	}
	lock := config.Change{Config: []byte(`{"conf_acl":"wifi.sta*.*,wifi.ap.enable","mqtt":{"server":"broker:8883"}}`), Level: 5, Vendor: true}
	fmt.Println(store.Update(lock, &config.SaveOptions{}))

	user := config.Change{Config: []byte(`{"wifi":{"sta":{"ssid":"home","pass":"12345678","enable":true}}}`), ACL: "*"}
	fmt.Println(store.Update(user, &config.SaveOptions{}))
	fmt.Println(store.Set(config.Change{Key: "mqtt.server", Value: []byte(`"evil:1883"`), ACL: "*"}))

	text, err := store.AppendJSON(nil, "wifi.sta.pass", config.GetOptions{})
	fmt.Println(string(text), err)
	fmt.Println(store.String("device.id"), store.String("mqtt.server"), store.String("wifi.sta.ssid"))
	// Output:
	// <nil>
	// <nil>
	// not allowed to set [mqtt.server]
	// "********" <nil>
	// ccm_A1B2C3 broker:8883 home
}

// An embedder adds settings of its own, and is told when they change.
func ExampleStore_Watch() {
	schema, err := config.CCM().With(config.Key{Name: "pump.speed", Type: config.Int, Default: "3", Doc: "revolutions a second"})
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := config.Open(context.Background(), config.Options{FS: ccmtest.NewDisk(), Dir: "ccm", Schema: schema})
	if err != nil {
		fmt.Println(err)
		return
	}
	stop := store.Watch("pump.*", func(changed []string) { fmt.Println(changed, store.Int("pump.speed")) })
	defer stop()
	fmt.Println(store.Set(config.Change{Key: "pump.speed", Value: []byte("7"), ACL: "*"}))
	// Output:
	// [pump.speed] 7
	// <nil>
}
