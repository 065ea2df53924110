package channel_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// inTurn is a handler that wants its turn.
type inTurn struct{ jsonrpc.HandlerFunc }

func (inTurn) InTurn() bool { return true }

// TestInTurn: calls of one channel run one after the other; those of others, and of
// other methods, at once.
func TestInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var done []string
		work := func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			n, _ := r.Arg(0).Int()
			time.Sleep(time.Duration(n) * time.Second)
			mu.Lock()
			defer mu.Unlock()
			done = append(done, string(r.Method())+r.Arg(0).String())
		}
		r := newRig(t, func(c *channel.Config) {
			c.Timeout, c.MaxPerChannel = 5*time.Second, 8
			c.Lookup = func(method []byte) (jsonrpc.Handler, func(int) int) {
				if strings.HasPrefix(string(method), "Turn") {
					return inTurn{work}, nil
				}
				return jsonrpc.HandlerFunc(work), nil
			}
		})
		start := time.Now()
		var calls sync.WaitGroup
		call := func(o *access.Origin, method string, seconds int, wantAt time.Duration, want string) {
			c := r.Accept(o, fmt.Appendf(nil, `{"id":1,"method":"%s","params":[%d]}`, method, seconds))
			calls.Go(func() {
				err := c.Serve(t.Context(), func(reply []byte) error {
					if at := time.Since(start); at != wantAt || !strings.Contains(string(reply), want) {
						t.Errorf("%s %d: %s after %v, want %s after %v", method, seconds, reply, at, want, wantAt)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		const null, timeout = `"result":null`, `"code":504`
		a, b := &access.Origin{Role: access.Vendor}, &access.Origin{Role: access.Vendor}
		call(a, "TurnA", 3, 3*time.Second, null)
		call(a, "TurnA", 1, 4*time.Second, null)
		call(a, "TurnA", 0, 4*time.Second, null)
		call(a, "Beside", 2, 2*time.Second, null)
		call(b, "TurnB", 1, time.Second, null)
		calls.Wait()
		if want := []string{"TurnB1", "Beside2", "TurnA3", "TurnA1", "TurnA0"}; !slices.Equal(done, want) {
			t.Errorf("%v, want %v", done, want)
		}

		// Whoever waits too long gives up; those behind wait for the one at work all
		// the same.
		start, done = time.Now(), nil
		call(a, "TurnA", 7, 7*time.Second, null)
		call(a, "TurnA", 1, 5*time.Second, timeout)
		time.Sleep(4 * time.Second)
		call(a, "TurnA", 2, 9*time.Second, null)
		calls.Wait()
		if want := []string{"TurnA7", "TurnA2"}; !slices.Equal(done, want) {
			t.Errorf("%v, want %v", done, want)
		}

		// All clients of MQTT are one channel, whatever their origins.
		start, done = time.Now(), nil
		for _, n := range []int{4, 2, 1} {
			c, err := r.Take(&access.Origin{Role: access.Cloud, Channel: access.MQTT}, channel.Frame{Text: fmt.Appendf(nil, `{"method":"Turn","params":[%d]}`, n)})
			if err != nil {
				t.Fatal(err)
			}
			calls.Go(func() { c.Serve(context.WithoutCancel(t.Context()), nil) })
		}
		calls.Wait()
		if want := []string{"Turn4", "Turn2"}; !slices.Equal(done, want) { // the third has waited for 5 s
			t.Errorf("%v, want %v", done, want)
		}
	})
}
