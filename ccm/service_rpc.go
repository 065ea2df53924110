package ccm

import (
	"context"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// rpcList is RPC.List: the methods that the caller may call. A host is told those
// of the module; everybody else those of the hosts too.
func (m *Module) rpcList(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	names := m.mux.Names()
	if HostFromContext(ctx) == nil {
		for _, h := range m.hosts {
			prefix := h.cfg.Name
			if prefix == "" {
				prefix = "host"
			}
			for _, method := range h.Info().Methods {
				names = append(names, prefix+"/"+method)
			}
		}
	}
	o := access.FromContext(ctx)
	list := []byte{'['}
	for _, name := range names {
		if o != nil && !m.keep.gate.Listed(o, name) {
			continue
		}
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = mjson.AppendQuote(list, name)
	}
	w.Result(append(list, ']'))
}

// rpcDescribe is RPC.Describe {name}: the name and the params of a method, in the
// form of a format of the C library mjson.
func (m *Module) rpcDescribe(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	name, err := nameParam(r, "name")
	if err != nil {
		w.Fail(err)
		return
	}
	h, _ := m.mux.Lookup([]byte(name))
	if h == nil {
		w.Error(codeNotFound, "name not found")
		return
	}
	params := ""
	if own, is := h.(*builtin); is {
		params = own.params
	}
	w.Resultf(`{"name":%Q,"args_fmt":%Q}`, name, params)
}

// codeNotFound is what somebody gets who names what is not there.
const codeNotFound = 404

// rpcPing is RPC.Ping: where the module sees the caller.
func rpcPing(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	remote := ""
	if o := access.FromContext(ctx); o != nil {
		remote = o.Remote
	}
	w.Resultf(`{"channel_info":%Q}`, remote)
}
