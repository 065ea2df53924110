package typed_test

import (
	"context"
	"fmt"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/typed"
)

func ExampleFunc() {
	var mux jsonrpc.Mux
	mux.Handle("Sum", typed.Func(func(a, b float64) float64 { return a + b }))

	var m jsonrpc.Message
	if err := jsonrpc.Parse([]byte(`{"id":12007,"method":"Sum","params":[2,3]}`), &m); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", jsonrpc.Serve(context.Background(), nil, &m, &mux))
	// Output: {"id":12007,"result":5}
}
