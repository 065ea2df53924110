package aws_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
)

// The transport is played by a function that answers like the service.
func Example() {
	b, err := aws.New(&service{}, "thermostat-7", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := b.Subscribe(ctx, func(d shadow.Delta) { fmt.Printf("delta %s\n", d.State) }); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Report(ctx, []byte(`{"temperature":21.5}`)))
	// Output:
	// delta {"on":true}
	// <nil>
}

// service accepts every update, and wants something.
type service struct {
	handle func(topic string, payload []byte)
}

func (s *service) Subscribe(_ context.Context, _ []string, _ byte, handle func(string, []byte)) error {
	s.handle = handle
	return nil
}

func (s *service) Publish(_ context.Context, topic string, _ byte, payload []byte) error {
	_, token, _ := strings.Cut(string(payload), `"clientToken":`)
	s.handle(topic+"/accepted", []byte(`{"version":2,"clientToken":`+token))
	s.handle(topic+"/delta", []byte(`{"version":2,"state":{"on":true}}`))
	return nil
}
