package ccm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// How a host is looked for.
const (
	searchPause   = 200 * time.Millisecond // between two tries
	listPatience  = 2 * time.Second        // for a list of a host that has answered: lists are long, lines slow
	searchTries   = 10                     // of Sys.Info
	listTries     = 3                      // of RPC.List and of rpc.list
	maxHostMethod = 64                     // methods of a host that are remembered
)

// HostInfo is what a host tells about itself. Hosts tell what they like;
// everything may be empty.
type HostInfo struct {
	App, FWVersion, FWID, Arch string   // of Sys.Info
	Boot                       string   // a mark of this start of the host, if it gives one
	FrameLimit                 int      // rx_max, or 0
	Methods                    []string // what RPC.List or rpc.list names, 64 at most
	ListMethod                 string   // "RPC.List", "rpc.list" or "", whichever it answers
	SysInfo                    bool     // it answers Sys.Info
}

// Generation names the kind of host that answers like this.
func (i *HostInfo) Generation() string {
	switch {
	case slices.Contains(i.Methods, "MQTT.Pub"):
		return "a module, not a host"
	case i.SysInfo && i.Boot != "":
		return "ccm/host"
	case i.SysInfo && i.ListMethod == "RPC.List":
		return "mjson 2018"
	case i.ListMethod == "RPC.List":
		return "mjson 2019"
	case i.ListMethod == "rpc.list":
		return "mjson 2020 or later"
	case i.SysInfo:
		return "with Sys.Info"
	}
	return "unknown"
}

// search finds out who is at the other end, on a goroutine of its own, which
// stays only if there is a watchdog.
func (l *link) search() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again = true
	select {
	case l.look <- struct{}{}:
	default:
	}
	if !l.searching && !l.ended {
		l.searching = true
		l.searches.Go(func() { l.h.search(l) })
	}
}

// end lets no search begin any more, and waits for the end of the one that goes
// on.
func (l *link) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.searches.Wait()
}

// lineEnd sends a line end, unless one is on its way, and returns nil when the
// link has ended. tell has the shadow deliver what differs when it has left.
func (l *link) lineEnd(tell bool) *blank {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.blank
	if b == nil && !l.ended {
		b = &blank{over: make(chan struct{})}
		l.blank = b
		l.searches.Go(func() { l.writeBlank(b) })
	}
	if b != nil && tell {
		b.tell = true
	}
	return b
}

// writeBlank writes a line end, for as long as that takes.
func (l *link) writeBlank(b *blank) {
	b.sent = l.frames.WriteFrame(nil) == nil
	l.mu.Lock()
	l.blank = nil
	tell := b.tell
	l.mu.Unlock()
	close(b.over)
	if tell && b.sent {
		l.h.syncer.HostReady()
	}
}

// endLine ends what the host may have read of half a line. It reports false if the
// line takes nothing for long.
func (l *link) endLine() bool {
	b := l.lineEnd(false)
	if b == nil {
		return false
	}
	t := time.NewTimer(answerLife)
	defer t.Stop()
	select {
	case <-b.over:
		return b.sent
	case <-t.C:
		return false
	}
}

// next reports whether there is still something to find out.
func (l *link) next() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := l.again && l.ctx.Err() == nil
	l.again = false
	select {
	case <-l.look:
	default:
	}
	l.searching = again
	return again
}

// search finds out who is there, as often as it is asked to.
func (h *Host) search(l *link) {
	for l.next() {
		h.setState(HostSearching, nil)
		if l.endLine() && !h.told {
			h.told = l.conn.Notify(l.ctx, "Sys.Init", "") == nil
		}
		info, there := h.identify(l.ctx, l)
		if l.over() {
			return // the port was not there, which tells nothing of the host
		}
		h.found(info, there)
		if h.cfg.Watchdog.Interval > 0 {
			h.watch(l.ctx, l)
		}
	}
}

// identify asks the host who it is. It reports whether the host is there: it has
// answered, or has sent something by itself.
func (h *Host) identify(ctx context.Context, l *link) (info HostInfo, there bool) {
	text, answered := ask(ctx, l, "Sys.Info", searchTries, 0)
	if text != nil {
		info.parse(text)
	}
	l.frames.SetMaxWrite(h.frameLimit(info.FrameLimit)) // another firmware may run than before
	for _, method := range []string{"RPC.List", "rpc.list"} {
		patience := time.Duration(0)
		if answered {
			patience = listPatience
		}
		text, any := ask(ctx, l, method, listTries, patience)
		answered = answered || any
		if text != nil {
			info.ListMethod, info.Methods = method, methodNames(text)
			break
		}
	}
	return info, answered || l.spoke.Load()
}

// ask calls a method every searchPause until the host answers one of the calls, or
// for as long as the tries take and patience beyond that. Nil text means that it
// has answered with an error or, if answered is false, not at all.
func ask(ctx context.Context, l *link, method string, tries int, patience time.Duration) (text []byte, answered bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(tries)*searchPause+patience)
	answers := make(chan []byte, tries) // nil is an error
	var calls sync.WaitGroup
	defer calls.Wait()
	defer cancel()
	again := time.NewTicker(searchPause)
	defer again.Stop()
	for sent := 0; ; {
		if sent < tries {
			sent++
			calls.Go(func() {
				if text, err := l.conn.Call(ctx, nil, method, ""); err == nil || fromHost(err) {
					answers <- text
				}
			})
		}
		select {
		case text := <-answers:
			return text, true
		case <-again.C:
		case <-ctx.Done():
			return nil, false
		case <-l.conn.Done():
			return nil, false
		}
	}
}

// fromHost reports whether the error of a call is an answer of the host, and not
// one of those that the connection gives by itself.
func fromHost(err error) bool {
	e, is := errors.AsType[*jsonrpc.Error](err)
	return is && e != jsonrpc.ErrTimeout && e != jsonrpc.ErrBusy
}

// found notes the outcome of a search.
func (h *Host) found(info HostInfo, there bool) {
	state := HostReady
	if !there {
		state = HostOpaque
	}
	h.setState(state, func() {
		h.info = info
		h.sessions++
	})
	if slices.Contains(info.Methods, "MQTT.Pub") {
		h.m.complain("a module answers in place of the host: are TX and RX joined?", h.cfg.Name)
	}
	if h.syncer != nil {
		h.syncer.HostReady()
	}
}

// heard is told that the host has sent a valid frame. One that had not answered
// may do so now.
func (h *Host) heard() {
	h.mu.Lock()
	again := h.state == HostOpaque || h.state == HostHung
	if h.link != nil {
		h.link.spoke.Store(true)
	}
	h.mu.Unlock()
	if again {
		h.restarted()
	}
}

// restarted has it found out anew who is there.
func (h *Host) restarted() {
	if l := h.linked(); l != nil {
		l.search()
	}
}

// parse reads the answer to Sys.Info.
func (i *HostInfo) parse(text []byte) {
	i.SysInfo = true
	get := func(key string) string {
		s, _ := mjson.Find(text, "$."+key).Text()
		return s
	}
	i.App, i.FWVersion, i.FWID, i.Arch = get("app"), get("fw_version"), get("fw_id"), get("arch")
	if boot := mjson.Find(text, "$.boot"); boot.Exists() {
		i.Boot = boot.String()
	}
	if n, isInt := mjson.Find(text, "$.rx_max").Int(); isInt && n >= 32 && n <= 1<<20 {
		i.FrameLimit = int(n)
	}
}

// methodNames reads the answer to RPC.List.
func methodNames(text []byte) (names []string) {
	for _, v := range (mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}).Children(text) {
		if s, is := v.Text(); is && len(names) < maxHostMethod && len(s) <= jsonrpc.MaxMethod {
			names = append(names, s)
		}
	}
	return names
}
