package channel_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

// TestCurl: a client that is not ours, with the login of RFC 7616, in both forms of
// POST and with the headers that it sends by itself.
func TestCurl(t *testing.T) {
	testbed.Require(t, "curl")
	r := newRig(t, nil)
	r.auth.Store(true)
	addr, _ := r.serveHTTP(t, channel.HTTPConfig{Role: access.LAN})
	curl := func(args ...string) string {
		t.Helper()
		args = append([]string{"--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--write-out", "%{http_code}"}, args...)
		out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
		if err != nil {
			t.Errorf("curl %s: %v: %s", args, err, out)
		}
		return strings.ReplaceAll(string(out), "\r\n", " ")
	}
	url := "http://" + addr + "/rpc"
	login := []string{"--digest", "--user", "admin:secret"}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--data", `{"id":1,"method":"Test.Echo"}`, url}, "401"},
		{append(login, "--data", `{"id":1,"method":"Test.Echo","params":[1]}`, url), `{"id":1,"src":"ccm_A1B2C3","result":[1]} 200`},
		{append(login, "--data", `{"a":1}`, url+"/Test.Echo"), `{"a":1} 200`},
		{append(login, url+"/RPC.List"), `null 200`},
		{append(login, "--data", "", url+"/Nope"), `{"code":404,"message":"No handler for Nope"} 404`},
		{append(login, "--data", strings.Repeat(" ", 5000), url), "Request Entity Too Large\n413"},
		{[]string{"--digest", "--user", "admin:wrong", "--data", "1", url + "/Test.Echo"}, "401"},
	} {
		if got := curl(tt.args...); got != tt.want {
			t.Errorf("curl %s: %q, want %q", tt.args, got, tt.want)
		}
	}
}
