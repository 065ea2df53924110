package ccmkit_test

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/typed"
)

// A host that can add, and a caller, joined by a pipe.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	near, far := net.Pipe()
	var ends sync.WaitGroup

	h := host.New(nil)
	h.Handle("Sum", typed.Func(func(a, b float64) float64 { return a + b }))
	ends.Go(func() { h.Run(ctx, far) })

	c := jsonrpc.NewConn(framing.NewConn(near, nil), nil)
	ends.Go(func() { c.Run(ctx) })

	sum, err := c.Call(ctx, nil, "Sum", "[%d,%d]", 2, 3)
	fmt.Printf("%s %v\n", sum, err)

	cancel()
	ends.Wait()
	// Output: 5 <nil>
}
