package ccm

import (
	"context"
	"errors"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/ccmkit/ccmkit/shadow"
)

// otaKey is the part of the shadow that belongs to the module: hosts neither see
// nor report it.
const otaKey = "ota"

// newSyncer makes the syncer of the host's shadow.
func (h *Host) newSyncer() error {
	c := h.m.cfg.Shadow
	thing := c.Thing
	if thing == "" {
		thing = h.m.cfg.ID
	}
	b, err := c.Backend(h.m.Transport(), thing, h.cfg.Name)
	if err != nil {
		return err
	}
	h.syncer = shadow.NewSyncer(shadow.Config{
		Backend: b, Deliver: h.deliverDelta, RepeatAfter: c.RepeatAfter, DropNulls: c.DropNulls,
		Hidden: []string{otaKey}, Observer: h.shadowEvent,
	})
	return nil
}

// deliverDelta tells the host what to change, in as many frames as it takes.
func (h *Host) deliverDelta(ctx context.Context, delta []byte) error {
	if f := h.m.cfg.Shadow.OnDelta; f != nil {
		if delta = f(ctx, h, delta); len(delta) == 0 {
			return nil
		}
	}
	l := h.ready()
	if l == nil {
		return ErrHostDown
	}
	limit := l.frames.FrameLimit()
	parts, misfits := shadow.Split(delta, func(part []byte) bool {
		part, err := hostText(part)
		return err == nil && (limit == 0 || len(`{"method":"Shadow.Delta","params":}`)+len(part) <= limit)
	})
	if len(misfits) > 0 { // AWS sends them with every delta
		h.m.stats.oversize.Add(uint64(len(misfits)))
		h.m.complain("delta not delivered: longer than the host takes, or a number or a depth that it cannot read", h.cfg.Name,
			"values", misfits[:min(len(misfits), maxNamed)])
	}
	for _, part := range parts {
		part, _ = hostText(part)
		if err := l.tellDelta(ctx, part); err != nil {
			return err
		}
		h.m.stats.deltas.Add(1)
	}
	return nil
}

// tellDelta sends a part of a delta. If it cannot be sent now, though the link
// goes on, what differs is delivered again when the line takes something.
func (l *link) tellDelta(ctx context.Context, part []byte) error {
	limited, cancel := context.WithTimeout(ctx, answerLife)
	defer cancel()
	err := l.conn.NotifyWritten(limited, "Shadow.Delta", "%s", part)
	if ctx.Err() == nil && (limited.Err() != nil || errors.Is(err, jsonrpc.ErrTooLong)) {
		l.lineEnd(true)
	}
	return err
}

// maxNamed is how many values that are too long a record of the log names.
const maxNamed = 16

// shadowEvent is told what happens to the shadow.
func (h *Host) shadowEvent(e shadow.Event) {
	switch e.Kind {
	case shadow.EventRejected, shadow.EventFailed, shadow.EventLost:
		what := "shadow " + e.Kind.String()
		if errors.Is(e.Err, shadow.ErrTimeout) {
			what += ": is there a shadow service at this broker?"
		}
		h.m.complain(what, h.cfg.Name, "bytes", len(e.Text), "err", e.Err)
	default:
		h.m.log.Debug("shadow", "host", h.cfg.Name, "event", e.Kind.String(), "err", e.Err)
	}
}

// Report merges patch, a JSON object, into the reported state of the host's
// shadow, as Shadow.Report of the host does. It returns when the report is
// queued; reports that the cloud has not taken yet become one. patch is copied.
func (h *Host) Report(patch []byte) error {
	if h.syncer == nil {
		return ErrNoShadow
	}
	return h.syncer.Report(patch)
}

// Shadow returns the last known desired and reported state of the host, and
// false if there is none yet.
func (h *Host) Shadow() (shadow.Document, bool) {
	if h.syncer == nil {
		return shadow.Document{}, false
	}
	return h.syncer.Document()
}

// ErrNoShadow is returned by a module whose configuration has no shadow.
var ErrNoShadow = errors.New("ccm: no shadow is configured")

var errShadowUnknown = &jsonrpc.Error{Code: codeOffline, Message: "the shadow is not known yet"}

// shadowReport is Shadow.Report PATCH, answered null when the report is queued.
func (m *Module) shadowReport(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	h, err := m.shadowOf(ctx)
	if err == nil {
		err = reportError(h.Report(r.Params()))
	}
	if err != nil {
		m.refused(ctx, "Shadow.Report", err)
		w.Fail(err)
		return
	}
	m.stats.reports.Add(1)
	w.Result(nil)
}

// reportError translates an error of the shadow.
func reportError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, shadow.ErrFull):
		return jsonrpc.ErrBusy
	}
	return badParams(err.Error())
}

// shadowGet is Shadow.Get, answered {"desired":D,"reported":R,"version":N}.
func (m *Module) shadowGet(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	h, err := m.shadowOf(ctx)
	if err != nil {
		w.Fail(err)
		return
	}
	doc, known := h.Shadow()
	if !known {
		w.Fail(errShadowUnknown)
		return
	}
	text, _ := mjson.Appendf(nil, `{"desired":%s,"reported":%s,"version":%ld}`, orEmpty(doc.Desired), orEmpty(doc.Reported), doc.Version)
	if HostFromContext(ctx) != nil {
		if text, err = hostText(text); err != nil {
			w.Error(jsonrpc.CodeTooLarge, "the shadow: "+err.Error())
			return
		}
	}
	w.Result(text)
}

// shadowOf returns the host whose shadow a request means: that of the caller,
// or of the host without a name.
func (m *Module) shadowOf(ctx context.Context) (*Host, error) {
	h := HostFromContext(ctx)
	if h == nil {
		h = m.Host("")
	}
	if h == nil || h.syncer == nil {
		return nil, jsonrpc.ErrMethodNotFound
	}
	return h, nil
}

func orEmpty(object []byte) []byte {
	if len(object) == 0 {
		return []byte(`{}`)
	}
	return object
}
