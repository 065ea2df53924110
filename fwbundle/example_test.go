package fwbundle_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ccmkit/ccmkit/fwbundle"
)

// readFile stands for os.ReadFile.
func readFile(name string) ([]byte, error) {
	return map[string][]byte{"build/fw.bin": []byte("not much of a firmware")}[name], nil
}

// Make a bundle as the tool does, read it, and get what is to be written.
func Example() {
	d := fwbundle.Draft{Name: "fw", Platform: "ccm_host", Version: "1.0"}
	if err := d.Add("host_fw:type=STM32,src=build/fw.bin,addr=0x8000000", readFile); err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	if _, err := d.WriteTo(&file); err != nil {
		fmt.Println(err)
		return
	}

	b, err := fwbundle.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	image, err := b.Image(fwbundle.Policy{FlashSize: 64 << 10})
	for _, s := range image {
		fmt.Printf("%#08x: %d bytes, %q\n", s.Addr, s.Size, s.Data)
	}
	fmt.Println(err)
	// Output:
	// 0x08000000: 24 bytes, "not much of a firmware\xff\xff"
	// <nil>
}

// exampleBundle returns a small bundle.
func exampleBundle() []byte {
	d := fwbundle.Draft{Name: "fw", Platform: "ccm_host"}
	var file bytes.Buffer
	if d.Add("host_fw:src=build/fw.bin,addr=0x8000000", readFile) == nil {
		d.WriteTo(&file)
	}
	return file.Bytes()
}

// Errors tell what is wrong with a bundle, and whether it is only for another
// device.
func ExampleBundle_Check() {
	data := exampleBundle()
	b, err := fwbundle.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = b.Check(fwbundle.Policy{Platform: "linux-arm"})
	fmt.Println(err)
	fmt.Println(errors.Is(err, fwbundle.ErrPlatform))
	err = b.Check(fwbundle.Policy{FlashBase: 0x08004000})
	fmt.Println(err)
	// Output:
	// fwbundle: policy: "manifest.json": wrong platform: it is for "ccm_host", this is "linux-arm"
	// true
	// fwbundle: policy: "fw.bin": part "host_fw": 0x08000000 to 0x08000018 is outside the flash, 0x08004000 to 0x08024000
}

// Read a bundle from a connection, and hand out the parts as they come.
func ExampleStream() {
	conn := bytes.NewReader(exampleBundle())
	s := fwbundle.NewStream(fwbundle.StreamConfig{
		Policy: &fwbundle.Policy{},
		Begin: func(m *fwbundle.Manifest) error {
			fmt.Printf("bundle %s for %s\n", m.Name, m.Platform)
			return nil
		},
		Part: func(p *fwbundle.Part) (io.Writer, error) {
			fmt.Printf("part %s for %#x\n", p.Name, p.Addr)
			return io.Discard, nil
		},
	})
	_, err := io.Copy(s, conn)
	fmt.Println(errors.Join(err, s.Close()))
	// Output:
	// bundle fw for ccm_host
	// part host_fw for 0x8000000
	// <nil>
}

// Sign a bundle that is there already, and demand the signature.
func ExampleBundle_Sign() {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)) // not a good one
	data := exampleBundle()
	b, err := fwbundle.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := fwbundle.Policy{SigReqMask: new(1 << 8)} // ed0
	policy.Keys.Ed25519[0] = key.Public().(ed25519.PublicKey)
	fmt.Println(b.Check(policy))

	var signed bytes.Buffer
	var signers fwbundle.Signers
	signers.Ed25519[0] = key
	if _, err = b.Sign(&signed, signers); err != nil {
		fmt.Println(err)
		return
	}
	b, err = fwbundle.Open(bytes.NewReader(signed.Bytes()), int64(signed.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Check(policy))
	// Output:
	// fwbundle: signature: "manifest.json": required signature missing or wrong: 0x0 are good, 0x100 are required
	// <nil>
}

// Read what a linker has made.
func ExampleParseImage() {
	hexFile := strings.Join([]string{
		":020000040800F2", // the upper half of the address
		":0400000000500020" + "8C",
		":04000400310100" + "08BE",
		":00000001FF",
	}, "\n")
	image, err := fwbundle.ParseImage([]byte(hexFile), 0)
	for _, s := range image {
		fmt.Printf("%#08x: % x\n", s.Addr, s.Data)
	}
	fmt.Println(err)
	// Output:
	// 0x08000000: 00 50 00 20 31 01 00 08
	// <nil>
}
