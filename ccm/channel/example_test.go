package channel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/typed"
)

// A Service with one method, and an HTTP door on the loopback interface.
func Example() {
	var mux jsonrpc.Mux
	mux.Handle("Sum", typed.Func(func(numbers []int) (sum int) {
		for _, n := range numbers {
			sum += n
		}
		return sum
	}))
	gate, err := access.New(access.Config{}) // nobody has a password: loopback needs none
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := channel.New(channel.Config{
		ID:   func() string { return "ccm_A1B2C3" },
		Gate: gate,
		Lookup: func(method []byte) (jsonrpc.Handler, func(int) int) {
			h, _ := mux.Lookup(method)
			return h, jsonrpc.ManagementCode
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := channel.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	web := channel.NewHTTP(s, channel.HTTPConfig{Role: access.LAN})
	done := make(chan error)
	go func() { done <- web.Serve(ctx, l) }()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	const frame = `{"id":1,"src":"me","method":"Sum","params":[[2,3]]}`
	res, err := client.Post("http://"+l.Addr().String()+"/rpc", "application/json", strings.NewReader(frame))
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, _ := io.ReadAll(res.Body)
	res.Body.Close()
	fmt.Println(strings.TrimSpace(string(reply)))
	cancel()
	fmt.Println("the door returned", <-done)

	// Output:
	// {"id":1,"src":"ccm_A1B2C3","dst":"me","result":5}
	// the door returned <nil>
}
