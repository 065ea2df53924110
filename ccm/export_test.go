package ccm

import "github.com/ccmkit/ccmkit/jsonrpc"

// ParseCloudCall reads a call from the cloud, and returns its frame and where the
// answer goes.
func ParseCloudCall(method string, payload []byte) (frame []byte, src string, err error) {
	c, err := parseCloudCall(method, payload)
	if err != nil {
		return nil, "", err
	}
	return c.msg.Frame(), c.src, nil
}

// ParseHostInfo reads the answers to Sys.Info and RPC.List.
func ParseHostInfo(info, list []byte) HostInfo {
	var i HostInfo
	i.parse(info)
	i.Methods = methodNames(list)
	return i
}

// CallError translates what came of a call to a host.
func CallError(err error) *jsonrpc.Error { return callError(err) }
