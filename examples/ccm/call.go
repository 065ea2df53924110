package main

import (
	"context"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/spf13/cobra"
)

const callHelp = `Calls a method once and prints the JSON text of its result. PARAMS is JSON text.

` + remoteHelp + `

At a port, the peer is first asked RPC.Ping until it answers, because opening the
port may have reset it. Lines that are no frames go to standard error.`

// callCommand is ccm call.
func (p *program) callCommand() *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use: "call [--port ENDPOINT] METHOD [PARAMS]", Short: "Call a method of a host or a module", Long: callHelp,
		Example: "  ccm call --port /dev/ttyUSB0 Sum '[2,3]'\n" +
			"  ccm call --port ws://192.168.1.20/rpc --password-file pass.txt Sys.GetInfo\n" +
			"  ccm call --port mqtt://broker/dev-1 host/Sum '[2,3]'",
		Args:              between(1, "METHOD", "PARAMS"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			params := ""
			if len(args) > 1 {
				params = args[1]
			}
			switch {
			case args[0] == "":
				return usage(cmd, "METHOD is empty")
			case params != "" && !jsonrpc.Valid([]byte(params)):
				return usage(cmd, "PARAMS is not JSON: %s", params)
			}
			return p.with(cmd, &f, func(ctx context.Context, at *callee) error {
				result, err := at.call(ctx, args[0], params)
				if err == nil {
					p.out.printf("%s\n", result)
				}
				return err
			})
		},
	}
	f.add(cmd)
	return cmd
}

// callee is a remote whose errors say which call has failed.
type callee struct {
	remote
	flags *remoteFlags
	outer context.Context // that of the program
}

// call calls a method.
func (c *callee) call(ctx context.Context, method, params string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.flags.timeout)
	defer cancel()
	result, err := c.remote.call(ctx, method, params)
	if err != nil {
		return nil, c.flags.explain(c.outer, method, len(params), err)
	}
	return result, nil
}

// with connects to the remote of the flags, does something there, and hangs up.
func (p *program) with(cmd *cobra.Command, f *remoteFlags, do func(ctx context.Context, at *callee) error) error {
	dial, err := f.check(cmd, p.log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context()) // the connection lives as long as that
	defer cancel()
	limit := time.AfterFunc(f.timeout, cancel)
	r, err := dial(ctx)
	if !limit.Stop() && cmd.Context().Err() == nil { // too late, whatever became of it
		if err == nil {
			r.close()
		}
		err = context.DeadlineExceeded
	}
	if err != nil {
		return f.explain(cmd.Context(), "--port "+shown(f.port), 0, err)
	}
	defer r.close()
	return do(ctx, &callee{remote: r, flags: f, outer: cmd.Context()})
}
