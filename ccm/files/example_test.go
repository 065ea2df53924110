package files_test

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// The mos tool puts a file in two chunks; the reply to the second is lost, so it
// sends that one again.
func Example() {
	d, err := files.Open(files.Options{FS: faultfs.New(), Dir: "files"})
	if err != nil {
		fmt.Println(err)
		return
	}
	d.Put("/ca.pem", []byte("-----BEGIN CERT"), files.PutMode{HasOffset: true})
	for range 2 {
		d.Put("/ca.pem", []byte("IFICATE-----"), files.PutMode{Append: true, HasOffset: true, Offset: 15})
	}
	data, left, err := d.ReadAt("ca.pem", 11, 4)
	fmt.Printf("%s, %d left, %v\n", data, left, err)
	list, err := d.List()
	fmt.Println(list, err)
	_, err = d.Read("key.pem")
	fmt.Println(err, errors.Is(err, fs.ErrNotExist))
	// Output:
	// CERT, 12 left, <nil>
	// [{ca.pem 27}] <nil>
	// files: file does not exist: "key.pem" true
}
