// Customvariant is a Cloud Communication Module with something of its own: a pump
// at a pin of the module. Hosts and the cloud switch it by the methods Pump.Set and
// Pump.Get, and the cloud also by the member "pump" of the device shadow, which
// the host does not get to see.
//
//	go run ./examples/customvariant --demo   with a host and a cloud in memory
//	go run ./examples/customvariant /dev/ttyUSB0 mqtt://127.0.0.1
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc/typed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "customvariant:", err)
		os.Exit(1)
	}
}

// run is the program: args are its arguments. It returns nil when ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	const usage = "usage: customvariant --demo | SERIAL-PORT mqtt://HOST[:PORT]"
	switch {
	case len(args) == 1 && args[0] == "--demo":
		return demo(ctx, out)
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		_, err := fmt.Fprintln(out, usage)
		return err
	case len(args) != 2:
		return errors.New(usage)
	}
	open := func(context.Context) (framing.Port, error) { return uart.Open(args[0], nil) }
	v, err := newVariant(open, &cloud.Config{Servers: []string{args[1]}}, out, slog.Default())
	if err != nil {
		return err
	}
	return v.Run(ctx)
}

// variant is the custom module: all that a Module is, and a pump.
type variant struct {
	*ccm.Module
	pump atomic.Bool
	out  io.Writer // stands for the pin
}

// newVariant adds the pump to a module.
func newVariant(open func(context.Context) (framing.Port, error), broker *cloud.Config, out io.Writer, log *slog.Logger) (v *variant, err error) {
	v = &variant{out: out}
	v.Module, err = ccm.New(ccm.Config{
		ID: "pump-1", Info: ccm.Info{App: "pump"}, Hosts: []ccm.HostConfig{{Open: open}}, Cloud: broker,
		Shadow: ccm.ShadowConfig{Backend: ccm.AWS, OnDelta: v.onDelta},
		Logger: log, // without one, nobody hears of a port that is not there
	})
	if err == nil {
		v.Handle("Pump.Get", typed.Func(v.pump.Load))
		v.Handle("Pump.Set", typed.Func(v.set))
	}
	return v, err
}

// set is Pump.Set [BOOL]. It switches the pump and reports that to the shadow.
func (v *variant) set(on bool) error {
	v.pump.Store(on)
	fmt.Fprintf(v.out, "the pump is switched: %t\n", on)
	return v.Host("").Report(fmt.Appendf(nil, `{"pump":%t}`, on))
}

// onDelta sees what is desired before the host does. It does what is about the
// pump, and leaves the rest to the host.
func (v *variant) onDelta(_ context.Context, _ *ccm.Host, delta []byte) []byte {
	var members map[string]json.RawMessage
	json.Unmarshal(delta, &members) // always an object
	switch pump := string(members["pump"]); pump {
	case "":
		return delta
	case "true", "false":
		v.set(pump == "true")
	default:
		fmt.Fprintf(v.out, "a pump cannot be %s\n", pump)
	}
	if delete(members, "pump"); len(members) == 0 {
		return nil
	}
	rest, _ := json.Marshal(members)
	return rest
}
