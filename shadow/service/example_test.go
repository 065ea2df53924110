package service_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/ccmkit/ccmkit/shadow/service"
)

// printer stands for a broker: it prints what is published.
type printer struct{}

func (printer) Publish(_ context.Context, topic string, _ byte, payload []byte) error {
	state, _, _ := strings.Cut(string(payload), `,"metadata"`)
	fmt.Println(strings.TrimPrefix(topic, "$aws/things/lamp/shadow/"), state)
	return nil
}

func (printer) Subscribe(context.Context, []string, byte, func(string, []byte)) error { return nil }

// A program wants a lamp to be on; the lamp reports that it is.
func Example() {
	ctx := context.Background()
	s, err := service.New(service.Config{Transport: printer{}}) // without Dir, in memory
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Update(ctx, "lamp", "", []byte(`{"state":{"desired":{"on":true},"reported":{"on":false,"watts":4.50}}}`))
	s.Update(ctx, "lamp", "", []byte(`{"state":{"reported":{"on":true}}}`))
	_, err = s.Get("lamp", "night")
	fmt.Println(err)
	// Output:
	// update/accepted {"state":{"desired":{"on":true},"reported":{"on":false,"watts":4.50}}
	// update/delta {"state":{"on":true}
	// update/documents {"previous":{"state":{}
	// update/accepted {"state":{"reported":{"on":true}}
	// update/documents {"previous":{"state":{"desired":{"on":true},"reported":{"on":false,"watts":4.50}}
	// shadow: No shadow exists with name: 'night' (404)
}
