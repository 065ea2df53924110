package shadow_test

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ccmkit/ccmkit/shadow"
)

func ExampleDiff() {
	delta, err := shadow.Diff(
		[]byte(`{"on":true,"cfg":{"period":10,"unit":"C"}}`),
		[]byte(`{"on":true,"cfg":{"period":60,"unit":"C"},"uptime":132}`))
	fmt.Println(string(delta), err)
	// Output: {"cfg":{"period":10}} <nil>
}

func ExampleMerge() {
	state, err := shadow.Merge([]byte(`{"on":true,"error":"E7"}`), []byte(`{"error":null,"level":3}`))
	fmt.Println(string(state), err)
	// Output: {"on":true,"level":3} <nil>
}

func ExampleCompose() {
	both, ok, err := shadow.Compose([]byte(`{"a":1,"b":1}`), []byte(`{"b":null}`))
	fmt.Println(string(both), ok, err)
	_, ok, err = shadow.Compose([]byte(`{"o":null}`), []byte(`{"o":{"a":1}}`))
	fmt.Println(ok, err)
	// Output:
	// {"a":1,"b":null} true <nil>
	// false <nil>
}

func ExampleSplit() {
	parts, misfits := shadow.Split([]byte(`{"wifi":{"ssid":"home","pass":"secret"},"text":"far too long for a small host"}`),
		func(part []byte) bool { return len(part) <= 32 })
	for _, p := range parts {
		fmt.Printf("%s\n", p)
	}
	fmt.Println(misfits)
	// Output:
	// {"wifi":{"ssid":"home"}}
	// {"wifi":{"pass":"secret"}}
	// [{/text 31}]
}

// A lamp that obeys its shadow, which is in memory.
func ExampleSyncer() {
	cloud := &memory{doc: shadow.Document{Desired: []byte(`{"on":true}`), Version: 1}}
	done := make(chan bool)
	s := shadow.NewSyncer(shadow.Config{
		Backend: cloud,
		Deliver: func(_ context.Context, delta []byte) error {
			fmt.Printf("delta %s\n", delta)
			close(done)
			return nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })

	s.Report([]byte(`{"on":false}`))
	s.SetOnline(true)
	<-done
	cancel()
	running.Wait()
	fmt.Printf("reported %s\n", cloud.doc.Reported)
	// Output:
	// delta {"on":true}
	// reported {"on":false}
}

// memory is a shadow whose desired state does not change.
type memory struct {
	doc shadow.Document
}

func (m *memory) Subscribe(context.Context, func(shadow.Delta)) error { return nil }

func (m *memory) Get(context.Context) (shadow.Document, error) {
	return shadow.Document{Desired: slices.Clone(m.doc.Desired), Reported: slices.Clone(m.doc.Reported), Version: m.doc.Version}, nil
}

func (m *memory) Report(_ context.Context, patch []byte) (err error) {
	m.doc.Reported, err = shadow.Merge(m.doc.Reported, patch)
	m.doc.Version++
	return err
}

func (m *memory) Limits() shadow.Limits { return shadow.Limits{} }
