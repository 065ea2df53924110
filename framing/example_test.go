package framing_test

import (
	"fmt"
	"net"

	"github.com/ccmkit/ccmkit/framing"
)

// A connection over a pipe; the host logs in between.
func Example() {
	near, host := net.Pipe()
	c := framing.NewConn(near, &framing.Options{
		Junk: func(line []byte) { fmt.Printf("log: %s\n", line) },
	})
	defer c.Close()
	go func() {
		fmt.Fprint(host, "boot ok\r\n")
		fmt.Fprint(host, `{"method":"MQTT.Sub","params":{"topic":"t1"}}`+"\n")
		fmt.Fprint(host, `{"method":"Sys.GetInfo"}010a4ff9`+"\n")
		host.Close()
	}()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			break
		}
		fmt.Printf("frame: %s\n", frame)
	}
	fmt.Println("the host sends CRCs:", c.PeerCRC())
	// Output:
	// log: boot ok
	// frame: {"method":"MQTT.Sub","params":{"topic":"t1"}}
	// frame: {"method":"Sys.GetInfo"}
	// the host sends CRCs: true
}

func ExampleDecoder() {
	d := framing.NewDecoder(0)
	for _, piece := range []string{"{\"id\":1}\r\n{\"i", "d\":2}\n\n{\"id\"", ":3}\n"} {
		for p := []byte(piece); len(p) > 0; {
			var line []byte
			if line, p = d.Feed(p); line != nil {
				fmt.Printf("%s\n", line)
			}
		}
	}
	// Output:
	// {"id":1}
	// {"id":2}
	// {"id":3}
}

func ExampleAppendCRC() {
	frame := []byte(`{"method":"Sys.GetInfo"}`)
	line := framing.AppendCRC(frame, frame)
	fmt.Printf("%s\n", line)
	line[2] ^= 1
	_, state := framing.CutCRC(line)
	fmt.Println(state)
	// Output:
	// {"method":"Sys.GetInfo"}010a4ff9
	// bad
}

func ExampleCut() {
	line := []byte(`{"id":1} {"id":2}{"id":3}`)
	if _, err := framing.Count(line, false); err != nil {
		return // all or nothing
	}
	for len(line) > 0 {
		var frame []byte
		frame, line, _ = framing.Cut(line, false)
		fmt.Printf("%s\n", frame)
	}
	// Output:
	// {"id":1}
	// {"id":2}
	// {"id":3}
}

// The two sides of the serial line that the mos tool uses.
func ExampleNewMosTool() {
	a, b := net.Pipe()
	device := framing.NewMosDevice(b, nil)
	defer device.Close()
	go func() {
		for {
			if _, err := device.ReadFrame(); err != nil {
				return
			}
			device.WriteFrame([]byte(`{"id":1,"result":"pong"}`))
		}
	}()
	tool := framing.NewMosTool(a, nil)
	defer tool.Close()
	reply := make(chan string)
	go func() {
		if frame, err := tool.ReadFrame(); err == nil {
			reply <- string(frame)
		}
	}()
	if err := tool.WriteFrame([]byte(`{"id":1,"method":"RPC.Ping"}`)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-reply)
	// Output: {"id":1,"result":"pong"}
}

func ExampleBLEIn() {
	var in framing.BLEIn
	in.Control([]byte{0, 0, 0, 8})
	in.Data([]byte(`{"id`))
	frame, err := in.Data([]byte(`":1}`))
	fmt.Printf("%s %v\n", frame, err)
	// Output: {"id":1} <nil>
}
