package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// How somebody is looked for: as a module does.
const (
	askPause  = 200 * time.Millisecond
	listPause = 2 * time.Second // a long list takes its time on a slow line
	askTries  = 10
	fewTries  = 3
)

// identity is what the peer has told about itself.
type identity struct {
	ccm.HostInfo
	answered bool   // anything at all
	module   bool   // a Cloud Communication Module, not a host
	short    string // a method without effect that it answers quickly
}

// identify finds out who is there. The error is that of ctx or of the port.
func identify(ctx context.Context, q *probe) (who identity, err error) {
	if err := q.newline(ctx); err != nil {
		return who, err
	}
	text, err := who.question(ctx, q, "Sys.Info", askTries)
	if err != nil {
		return who, err
	}
	who.SysInfo = text != nil
	who.App, who.FWVersion = text0(text, "$.app"), text0(text, "$.fw_version")
	who.FWID, who.Arch = text0(text, "$.fw_id"), text0(text, "$.arch")
	who.Boot = mjson.Find(text, "$.boot").String()
	who.FrameLimit = int(mjson.GetInt(text, "$.rx_max", 0))
	for _, method := range []string{"RPC.List", "rpc.list"} {
		text, err := who.question(ctx, q, method, fewTries)
		if err != nil {
			return who, err
		}
		if text != nil {
			who.ListMethod, who.Methods = method, names(text)
			break
		}
	}
	who.module = slices.Contains(who.Methods, "MQTT.Pub")
	who.short = "RPC.Ping" // most hosts do not know it, and say so in a few bytes
	return who, nil
}

// question asks until an answer comes and returns it, or nil if there is none or
// it is an error. Until somebody answers, every other question has a CRC suffix:
// some want one, and some may not stand one. A late answer will do.
func (who *identity) question(ctx context.Context, q *probe, method string, tries int) ([]byte, error) {
	pause := askPause
	if who.answered {
		tries, pause = fewTries, listPause
	}
	var ids []int
	for range tries {
		if !who.answered {
			q.crc = !q.crc
		}
		line, id := q.question(method, "")
		ids = append(ids, id)
		r, err := q.send(ctx, line, pause, ids...)
		switch {
		case errors.Is(err, errNoAnswer) || r.complaint:
			continue
		case err != nil:
			return nil, err
		}
		who.answered = true
		return r.result, nil
	}
	return nil, nil
}

// generation says what the peer is built on.
func (who *identity) generation() string {
	if who.module {
		return "a Cloud Communication Module, not a host"
	}
	known := map[string]string{
		"ccm/host":            "host of this library (ccm/host)",
		"mjson 2018":          "mjson of 2018, as in the CCM manual (Sys.Info, RPC.List)",
		"mjson 2019":          "mjson of 2019 to May 2020 (RPC.List only)",
		"mjson 2020 or later": "mjson of May 2020 or later (rpc.list)",
		"with Sys.Info":       "unknown, with Sys.Info",
	}
	if text, is := known[who.Generation()]; is {
		return text
	}
	return "unknown: it answers, but neither Sys.Info nor RPC.List nor rpc.list"
}

// firmware returns what the peer says it runs, or "".
func (who *identity) firmware() string {
	var parts []string
	for _, s := range []string{who.App, who.FWVersion, who.FWID, who.Arch} {
		if s != "" {
			parts = append(parts, readable([]byte(s)))
		}
	}
	return strings.Join(parts, ", ")
}

// text0 returns the string at a path, or "".
func text0(doc []byte, path string) string {
	s, _ := mjson.Find(doc, path).Text()
	return s
}

// names returns the strings in a JSON array.
func names(list []byte) (names []string) {
	for _, v := range (mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}).Children(list) {
		if s, is := v.Text(); is {
			names = append(names, s)
		}
	}
	return names
}
