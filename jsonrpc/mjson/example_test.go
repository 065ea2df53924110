package mjson_test

import (
	"fmt"
	"os"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

func ExampleFind() {
	frame := []byte(`{"id": 12, "method": "Sum", "params": [2, 3.5, {"unit": "cm"}]}`)
	fmt.Println(mjson.Find(frame, "$.params[2].unit").Text())
	fmt.Println(mjson.Find(frame, "$.params[1]").Number())
	fmt.Printf("%s\n", mjson.Find(frame, "$.id").Raw)
	fmt.Println(mjson.Find(frame, "$.result").Exists())
	// Output:
	// cm true
	// 3.5 true
	// 12
	// false
}

func ExampleGetNumber() {
	params := []byte(`[2, 3]`)
	fmt.Println(mjson.GetNumber(params, "$[0]", 0) + mjson.GetNumber(params, "$[1]", 0))
	fmt.Println(mjson.GetNumber(params, "$[2]", -1))
	// Output:
	// 5
	// -1
}

func ExampleGetString() {
	var buf [32]byte // on the stack: nothing is allocated
	text, ok := mjson.GetString([]byte(`{"ssid":"caf\u00e9"}`), "$.ssid", buf[:0])
	fmt.Printf("%s %v\n", text, ok)
	// Output: café true
}

func ExampleAppendf() {
	frame, err := mjson.Appendf(nil, `{%Q:%d,%Q:{%Q:%g,%Q:%B}}`, "id", 7, "result", "temp", 21.5, "on", true)
	fmt.Printf("%s %v\n", frame, err)
	// Output: {"id":7,"result":{"temp":21.5,"on":true}} <nil>
}

func ExampleAppendf_error() {
	text, err := mjson.Appendf(nil, `[%d,%Q]`, "one")
	fmt.Printf("%s\n%v\n", text, err)
	// Output:
	// [null,null]
	// mjson: format %d at offset 1, argument 0: want an integer
}

func ExamplePrintFunc() {
	points := [][2]int{{1, 2}, {3, 4}}
	list := func(dst []byte, _ []any) ([]byte, int) {
		for i, p := range points {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, _ = mjson.Appendf(dst, "[%d,%d]", p[0], p[1])
		}
		return dst, 0
	}
	text, _ := mjson.Appendf(nil, `{"points":[%M],"n":%d}`, list, len(points))
	fmt.Printf("%s\n", text)
	// Output: {"points":[[1,2],[3,4]],"n":2}
}

func ExampleChildren() {
	for name, value := range mjson.Children([]byte(`{"on": true, "list": [1, 2]}`)) {
		fmt.Printf("%d %s %v %s\n", name.Index, name.Raw, value.Type(), value.Raw)
	}
	// Output:
	// 0 "on" true true
	// 1 "list" array [1, 2]
}

func ExampleScan() {
	n, err := mjson.Scan([]byte(`{"a":[1]} and more`), func(ev mjson.Type, off, n int) bool {
		fmt.Print(ev, " ")
		return true
	})
	fmt.Println(n, err)
	// Output: object key : array number ] } 9 <nil>
}

func ExampleMerge() {
	reported := []byte(`{"led": {"on": true, "dim": 10}, "old": 1}`)
	change := []byte(`{"led": {"dim": 80}, "old": null, "new": [1, 2]}`)
	fmt.Printf("%s\n", mjson.Merge(nil, reported, change))
	// Output: {"led":{"on":true,"dim":80},"new":[1, 2]}
}

func ExamplePretty() {
	text, err := mjson.Pretty(nil, []byte(`{"a":[1,2],"b":{}}`), "  ")
	if err != nil {
		fmt.Println(err)
		return
	}
	os.Stdout.Write(text)
	// Output:
	// {
	//   "a": [
	//     1,
	//     2
	//   ],
	//   "b": {}
	// }
}

func ExampleMatch() {
	fmt.Println(mjson.Match("Config.*", []byte("Config.Set")))
	fmt.Println(mjson.Match("host/*", []byte("host/a/b")), mjson.Match("host/#", []byte("host/a/b")))
	// Output:
	// true
	// false true
}

func ExampleSnprintf() {
	buf := make([]byte, 8)
	n, err := mjson.Snprintf(buf, `{"id":%d}`, 12007)
	fmt.Printf("%d %q %v\n", n, buf[:n], err)
	// Output: 7 "{\"id\":1" mjson: text truncated
}
