package jsonrpc_test

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

func addNumbers(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	a, okA := r.Arg(0).Int()
	b, okB := r.Arg(1).Int()
	if !okA || !okB {
		w.Fail(jsonrpc.ErrInvalidParams)
		return
	}
	w.Resultf("%d", a+b)
}

// Parse a frame, dispatch it, and see the reply.
func Example() {
	var mux jsonrpc.Mux
	mux.HandleFunc("Sum", addNumbers)

	var m jsonrpc.Message
	if err := jsonrpc.Parse([]byte(`{"id":12007,"method":"Sum","params":[2,3]}`), &m); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s %s\n", m.Kind(), m.Method(), m.Params())
	fmt.Printf("%s\n", jsonrpc.Serve(context.Background(), nil, &m, &mux))
	// Output:
	// call Sum [2,3]
	// {"id":12007,"result":5}
}

// The sketch of the CCM manual: a host that is fed bytes.
func ExampleEngine() {
	e := jsonrpc.NewCCMEngine(jsonrpc.SysInfo{FWVersion: "1.0", FWID: "Nov 24 2018 09:10:27"})
	e.HandleFunc("Sum", addNumbers)

	line := []byte(`{"id":1,"method":"Sum","params":[2,3]}` + "\n" + `{"id":2,"method":"RPC.List"}` + "\n")
	var out []byte
	for _, b := range line {
		out = e.ProcessByte(context.Background(), out, b)
	}
	out, _ = e.Callf(out, "{%Q:%Q,%Q:{%Q:%s}}", "method", "Shadow.Report", "params", "on", "true")
	fmt.Printf("%s", out)
	// Output:
	// {"id":1,"result":5}
	// {"id":2,"result":["Sum","RPC.List","Sys.Info"]}
	// {"method":"Shadow.Report","params":{"on":true}}
}

// Two ends that call each other over a pipe.
func ExampleConn() {
	ctx, cancel := context.WithCancel(context.Background())
	near, far := net.Pipe()
	var mux jsonrpc.Mux
	mux.HandleFunc("Sum", addNumbers)
	server := jsonrpc.NewConn(framing.NewConn(far, nil), &jsonrpc.ConnOptions{Handler: &mux})
	client := jsonrpc.NewConn(framing.NewConn(near, nil), nil)
	var ends sync.WaitGroup
	ends.Go(func() { server.Run(ctx) })
	ends.Go(func() { client.Run(ctx) })

	sum, err := client.Call(ctx, nil, "Sum", "[%d,%d]", 2, 3)
	fmt.Printf("%s %v\n", sum, err)
	_, err = client.Call(ctx, nil, "Nope", "")
	fmt.Println(err)

	cancel()
	ends.Wait()
	// Output:
	// 5 <nil>
	// jsonrpc: method not found (-32601)
}
