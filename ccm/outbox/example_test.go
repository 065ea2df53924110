package outbox_test

import (
	"fmt"

	"github.com/ccmkit/ccmkit/ccm/outbox"
)

func Example() {
	q := outbox.New(outbox.Config{
		Send: func(m *outbox.Message, done func(error)) error {
			fmt.Printf("send %s %s\n", m.Topic, m.Payload)
			done(nil) // PUBACK
			return nil
		},
	})
	q.Put(outbox.Message{Topic: "t1", Payload: []byte("hello")}, func(err error) {
		fmt.Println("acknowledged:", err)
	})
	fmt.Println("queued:", q.Stats().Len)
	q.SetOnline(true)
	// Output:
	// queued: 1
	// send t1 hello
	// acknowledged: <nil>
}
