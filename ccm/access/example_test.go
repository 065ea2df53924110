package access_test

import (
	"errors"
	"fmt"

	"github.com/ccmkit/ccmkit/ccm/access"
)

// A client on the network logs in to call a method.
func Example() {
	passwords := []byte(access.HTDigest("admin", "RPC", "secret", access.SHA256))
	login := access.NewLogin(access.LoginConfig{File: func() ([]byte, error) { return passwords, nil }})
	gate, err := access.New(access.Config{Login: login})
	if err != nil {
		panic(err)
	}
	from := access.Origin{Role: access.LAN, Channel: access.WSIn, Remote: "192.0.2.7:4711"}

	err = gate.Authorize(&from, "Sys.GetInfo")
	refusal, _ := errors.AsType[*access.Refusal](err)
	fmt.Println(refusal.Code)

	auth, _ := access.AnswerFrame(login.FrameChallenge(), "admin", "secret") // the client's side
	from.User, err = login.Frame(from.Remote, auth)
	fmt.Println(from.User, err)
	fmt.Println(gate.Authorize(&from, "Sys.GetInfo"))
	// Output:
	// 401
	// admin <nil>
	// <nil>
}
