// Package wifi is the network as a module sees it: a [Network] that can look for
// access points, join one as a station, be an access point itself, and tell how it
// goes. What it carries is what Wifi.Scan, Wifi.SetupSTA, Wifi.SetupAP and
// Sys.GetInfo of Mongoose OS have (mos-rpc.md sections 5.1 and 5.4).
//
//	stop := network.Watch(func(s wifi.Status) {
//		fmt.Println(s.Station, s.Reason, s.StationIP)
//	})
//	defer stop()
//	err := network.SetStation(ctx, wifi.Station{Enable: true, SSID: "Home", Password: "secret123"})
//
// SetStation does not wait for the network: that it was joined, or that the
// password was wrong, is told by Status and Watch some seconds later.
//
// [Fake] is a network in memory, for tests and demonstrations. It takes as long for
// things as NetworkManager does, also in a synctest bubble.
//
// # Concurrency
//
// A Network is safe for concurrent use.
package wifi
