package ccm

import "github.com/ccmkit/ccmkit/jsonrpc"

// ParseHostInfo reads the answers to Sys.Info and RPC.List.
func ParseHostInfo(info, list []byte) HostInfo {
	var i HostInfo
	i.parse(info)
	i.Methods = methodNames(list)
	return i
}

// CallError translates what came of a call to a host.
func CallError(err error) *jsonrpc.Error { return callError(err) }

// ServesCloud reports whether calls from the cloud are served.
func (m *Module) ServesCloud() bool { return !m.cfg.NoCloudRPC }
