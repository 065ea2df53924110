package ccm_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/ccm/config"
)

// A module whose configuration is changed over HTTP. On this machine no login is
// needed as long as there is no password.
func ExampleManagement() {
	ctx, cancel := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "ccm")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := config.Open(ctx, config.Options{Dir: dir, MAC: "A0B1C2A1B2C3"})
	if err != nil {
		panic(err)
	}
	listener, err := channel.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	m, err := ccm.New(ccm.Config{Management: ccm.Management{
		Store: store,
		Doors: []ccm.Door{ccm.DoorFunc(func(ctx context.Context, s *channel.Service) error {
			return channel.NewHTTP(s, channel.HTTPConfig{Role: access.LAN}).Serve(ctx, listener)
		})},
	}})
	if err != nil {
		panic(err)
	}
	var ended sync.WaitGroup
	ended.Go(func() { m.Run(ctx) })

	url := "http://" + listener.Addr().String() + "/rpc/Config.Set"
	r, err := http.Post(url, "application/json", strings.NewReader(`{"config":{"mqtt":{"keep_alive":90}},"save":true}`))
	if err != nil {
		panic(err)
	}
	answer, _ := io.ReadAll(r.Body)
	r.Body.Close()
	fmt.Println(strings.TrimSpace(string(answer)))
	fmt.Println(m.ID(), store.Int("mqtt.keep_alive"))

	http.DefaultClient.CloseIdleConnections()
	cancel()
	ended.Wait()
	// Output:
	// {"saved":true}
	// ccm_A1B2C3 90
}
