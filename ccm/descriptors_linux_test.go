package ccm_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fewDescriptors is what the module of TestX3Descriptors has.
const fewDescriptors = 32

// childEnv tells the program of the tests that it is the module.
const childEnv = "CCMKIT_FEW_DESCRIPTORS"

// TestX3Descriptors: with 32 descriptors, more connections than that keep new ones out,
// and the module is as before when they have gone.
func TestX3Descriptors(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		fewDescriptorsChild(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestX3Descriptors$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if address = strings.TrimSpace(address); err != nil {
		t.Fatalf("%q, %v", address, err)
	}
	overHTTP(t, address, "", `{"id":1,"method":"RPC.Ping"}`)
	var all []net.Conn
	for range 3 * fewDescriptors {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			all = append(all, c)
		}
	}
	for _, c := range all {
		c.Close()
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	eventually(t, "a save", func() bool { // there is a descriptor for the file again
		a, err := client.Post("http://"+address+"/rpc", "application/json",
			strings.NewReader(`{"id":2,"method":"Config.Set","params":{"key":"debug.level","value":3,"save":true}}`))
		if err != nil {
			return false // not yet, among so many
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		return err == nil && a.StatusCode == http.StatusOK && errorCode(string(text)) == 0
	})
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the module: %v", err)
	}
}

// fewDescriptorsChild is the module, until standard input ends.
func fewDescriptorsChild(t *testing.T) {
	limit := syscall.Rlimit{Cur: fewDescriptors, Max: fewDescriptors}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	m := newManaged(t, managedConfig{})
	fmt.Println(m.web)
	os.Stdin.Read(make([]byte, 1))
	if got := m.store.Int("debug.level"); got != 3 {
		t.Errorf("debug.level is %d", got)
	}
}
