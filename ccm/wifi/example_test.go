package wifi_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ccmkit/ccmkit/ccm/wifi"
)

func Example() {
	network := wifi.NewFake(wifi.FakeConfig{
		AccessPoints: []wifi.FakeAccessPoint{
			{AccessPoint: wifi.AccessPoint{SSID: "Home", Auth: wifi.AuthWPA2, RSSI: -48}, Password: "secret123"},
			{AccessPoint: wifi.AccessPoint{SSID: "Café", RSSI: -71}},
		},
		Delays: wifi.Delays{Scan: -1, Associate: time.Millisecond, Address: time.Millisecond}, // and not five seconds
	})
	found, err := network.Scan(context.Background())
	for _, p := range found {
		fmt.Println(p.SSID, p.Auth, p.RSSI)
	}
	if err != nil {
		fmt.Println(err)
	}

	done := make(chan struct{})
	stop := network.Watch(func(s wifi.Status) {
		fmt.Printf("%q: %v\n", s.SSID, s.Station)
		if s.Station == wifi.GotIP {
			close(done)
		}
	})
	defer stop()
	home := wifi.Station{Enable: true, SSID: "Home", Password: "secret123"}
	if err := network.SetStation(context.Background(), home); err != nil {
		fmt.Println(err)
	}
	<-done
	fmt.Println(network.Status().StationIP, network.Stations()[0].Password)
	// Output:
	// Home WPA2 -48
	// Café open -71
	// "": disconnected
	// "Home": connecting
	// "Home": connected
	// "Home": got ip
	// 192.0.2.18 ********
}
