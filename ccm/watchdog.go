package ccm

import (
	"context"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// watch looks after the host until somebody asks to search for it anew, or the
// link ends.
func (h *Host) watch(ctx context.Context, l *link) {
	t := time.NewTicker(h.cfg.Watchdog.Interval)
	defer t.Stop()
	misses := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.look:
			return
		case <-t.C:
			if len(l.look) > 0 { // before anything else
				continue
			}
		}
		answered, anew := h.alive(ctx, l)
		if ctx.Err() != nil || l.over() || len(l.look) > 0 { // that is why there was no answer
			continue
		}
		switch {
		case anew:
			l.conn.NewSession()
			l.search()
		case answered:
			misses = 0
		default:
			misses++
		}
		if limit := h.cfg.Watchdog.Misses; misses >= limit && (limit > 0 || misses >= 3) {
			misses = 0
			h.hung(ctx)
		}
	}
}

// alive asks the host for a sign of life, and whether it has started anew.
func (h *Host) alive(ctx context.Context, l *link) (answered, anew bool) {
	h.mu.Lock()
	info := h.info
	h.mu.Unlock()
	method := "Sys.Info"
	if !info.SysInfo && info.ListMethod != "" {
		method = info.ListMethod
	}
	ctx, cancel := context.WithTimeout(ctx, min(h.cfg.Watchdog.Interval, answerLife))
	defer cancel()
	text, err := l.conn.Call(ctx, nil, method, "")
	if err != nil {
		return fromHost(err), false
	}
	boot := mjson.Find(text, "$.boot")
	return true, boot.Exists() && boot.String() != info.Boot
}

// hung resets a host that does not answer, unless it was reset too often.
func (h *Host) hung(ctx context.Context) {
	h.m.stats.hung.Add(1)
	now := time.Now()
	h.mu.Lock()
	recent := h.resets[:0]
	for _, t := range h.resets {
		if now.Sub(t) < time.Hour {
			recent = append(recent, t)
		}
	}
	h.resets = recent
	limit := h.cfg.Watchdog.MaxResets
	if limit == 0 {
		limit = 3
	}
	may := h.cfg.Reset != nil && len(recent) < limit
	if may {
		h.resets = append(h.resets, now)
	}
	h.mu.Unlock()
	if !may {
		h.setState(HostHung, nil)
		return
	}
	h.m.log.Warn("host does not answer and is reset", "host", h.cfg.Name)
	if err := h.Reset(ctx); err != nil {
		h.m.log.Error("reset of the host", "host", h.cfg.Name, "err", err)
	}
}
