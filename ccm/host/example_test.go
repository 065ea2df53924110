package host_test

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// A lamp that obeys its shadow. The module is played by a connection that sends
// the desired state and prints what the lamp reports.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	port, moduleEnd := net.Pipe()
	var ends sync.WaitGroup

	on := false
	lamp := host.New(&host.Config{Info: host.Info{FWVersion: "1.0", App: "lamp"}})
	lamp.OnDelta(func(ctx context.Context, delta []byte) {
		on = mjson.GetBool(delta, "$.on", on)
		lamp.Report(ctx, "{%Q:%B}", "on", on)
	})
	ends.Go(func() { lamp.Run(ctx, port) })

	reported := make(chan string)
	var mux jsonrpc.Mux
	mux.HandleFunc("Shadow.Report", func(_ context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) {
		reported <- string(r.Params())
	})
	module := jsonrpc.NewConn(framing.NewConn(moduleEnd, nil), &jsonrpc.ConnOptions{Handler: &mux})
	ends.Go(func() { module.Run(ctx) })
	module.Notify(ctx, "Shadow.Delta", "{%Q:%B}", "on", true)
	fmt.Println(<-reported)

	cancel()
	ends.Wait()
	// Output: {"on":true}
}
