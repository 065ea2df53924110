package ccm

import (
	"context"
	"errors"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/internal/acl"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// The methods of the configuration (library rpc-service-config of Mongoose OS).

const (
	liveLevel = 9  // of Config.Get: the configuration in use
	codeSave  = -1 // of an error in saving
)

// windowReads is what an end user may read through the provisioning window
// (spec/security.md 4.2).
const windowReads = "wifi.sta,wifi.sta.*,device.id"

// configGet is Config.Get {key, level=9}: a leaf, or the tree below a key.
func (m *Module) configGet(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	key, err := textParam(r, "key", "")
	level := int64(liveLevel)
	if err == nil {
		level, err = intParam(r, "level", liveLevel)
	}
	switch o := access.FromContext(ctx); {
	case err != nil:
	case level < 0 || level > liveLevel:
		err = badParams("level must be 0 to 9")
	case o != nil && o.Role == access.User && (r.Param("level").Exists() || !acl.Allows(windowReads, key)):
		err = &jsonrpc.Error{Code: jsonrpc.CodeDenied, Message: "not allowed to read " + quoted(key)}
	}
	if err != nil {
		w.Fail(err)
		return
	}
	text, err := m.cfg.Management.Store.AppendJSON(nil, key, config.GetOptions{Layers: layersOf(level), Reveal: m.mayReveal(ctx)})
	if err != nil {
		w.Fail(configError(err))
		return
	}
	w.Result(text)
}

// layersOf returns how many layers a level stands for: those up to it.
func layersOf(level int64) int {
	if level == liveLevel {
		return 0 // what is in use
	}
	return int(level) + 1
}

// mayReveal reports whether the caller may read secrets.
func (m *Module) mayReveal(ctx context.Context) bool {
	o := access.FromContext(ctx)
	return o != nil && o.Role == access.Host && m.cfg.Management.HostMayReadSecrets
}

// quoted shortens a name of the caller's for a message.
func quoted(s string) string { return "[" + clip(s) + "]" }

// configSet is Config.Set {config | key, value, level, save, try_once, reboot}:
// all of it or nothing.
func (m *Module) configSet(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	change, err := m.changeParams(ctx, r)
	var after afterSet
	if err == nil {
		after, err = saveParams(r)
	}
	var save *config.SaveOptions
	if err == nil && after.save {
		save, err = &config.SaveOptions{TryOnce: after.tryOnce}, m.maySave(ctx)
	}
	if err == nil {
		err = m.cfg.Management.Store.Update(change, save)
		if save != nil && refusedChange(err) {
			m.keep.saves.give() // nothing was written
		}
		err = m.changed(err)
	}
	if err != nil {
		w.Fail(err)
		return
	}
	if after.save && after.reboot {
		m.reboot(rebootLater)
	}
	w.Resultf(`{"saved":%B}`, after.save)
}

// changeParams reads what Config.Set is to change.
func (m *Module) changeParams(ctx context.Context, r *jsonrpc.Request) (c config.Change, err error) {
	o := access.FromContext(ctx)
	c.ACL, c.Vendor = m.keep.gate.ConfigACL(o), o == nil || o.Role == access.Vendor
	if c.Key, err = textParam(r, "key", ""); err != nil {
		return c, err
	}
	value := r.Param("config") // or value, which means the same
	if !given(value) {
		value = r.Param("value")
	}
	if !given(value) {
		return c, badParams("value is required")
	}
	if c.Key != "" {
		c.Value = value.Raw
	} else {
		c.Config = value.Raw
	}
	if !r.Param("level").Exists() {
		return c, nil
	}
	level, err := intParam(r, "level", liveLevel)
	switch {
	case o != nil && o.Role == access.User:
		return c, errLevelDenied
	case err != nil:
		return c, err
	case level < 0 || level > liveLevel:
		return c, badParams("level must be 1 to 9")
	case level == 0, level != liveLevel && !c.Vendor && o.Role != access.Host && !m.mayLevels(o):
		return c, errLevelDenied
	}
	c.Level = int(level)
	return c, nil
}

var errLevelDenied = &jsonrpc.Error{Code: jsonrpc.CodeDenied, Message: "not allowed to set this level"}

// given reports whether there is a param that is not null.
func given(v mjson.Value) bool { return v.Exists() && v.Type() != mjson.Null }

// mayLevels reports whether somebody who is neither a host nor the vendor may write
// the vendor's layers.
func (m *Module) mayLevels(o *access.Origin) bool {
	return m.cfg.Management.AllowLevels && o.Role != access.User
}

// afterSet is what follows a change.
type afterSet struct{ save, tryOnce, reboot bool }

// saveParams reads what is to follow.
func saveParams(r *jsonrpc.Request) (a afterSet, err error) {
	if a.save, err = boolParam(r, "save", false); err != nil {
		return a, err
	}
	if a.tryOnce, err = boolParam(r, "try_once", false); err != nil {
		return a, err
	}
	a.reboot, err = boolParam(r, "reboot", false)
	return a, err
}

// configSave is Config.Save {try_once, reboot}.
func (m *Module) configSave(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	after, err := saveParams(r)
	if err == nil {
		err = m.countSave()
	}
	if err == nil {
		err = m.changed(m.cfg.Management.Store.Save(config.SaveOptions{TryOnce: after.tryOnce}))
	}
	if err != nil {
		w.Fail(err)
		return
	}
	if after.reboot {
		m.reboot(rebootLater)
	}
	w.Result([]byte(`{"saved":true}`))
}

var errSavesTooOften = &jsonrpc.Error{Code: jsonrpc.CodeBusy, Message: "the configuration is saved too often"}

// maySave counts a change that saves, and refuses too many. The gate counts a
// Config.Save by itself.
func (m *Module) maySave(ctx context.Context) error {
	if err := m.keep.gate.MaySave(access.FromContext(ctx)); err != nil {
		return refusalError(err)
	}
	return m.countSave()
}

// countSave counts a save, and refuses too many.
func (m *Module) countSave() error {
	if !m.keep.saves.take() {
		return errSavesTooOften
	}
	return nil
}

// refusedChange reports whether a change was refused for what it is, before anything
// was written.
func refusedChange(err error) bool {
	_, is := errors.AsType[*config.KeyError](err)
	return is || errors.Is(err, config.ErrTooLarge)
}

// changed translates an error of a change, or of saving it, for the caller.
func (m *Module) changed(err error) error {
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[*config.KeyError](err); is {
		return configError(err)
	}
	if errors.Is(err, config.ErrTooLarge) {
		return badParams(err.Error())
	}
	m.log.Error("the configuration is not saved", "err", err)
	return &jsonrpc.Error{Code: codeSave, Message: "error saving config: " + err.Error()}
}

// configError translates an error about a key for callers.
func configError(err error) error {
	e, is := errors.AsType[*config.KeyError](err)
	if !is {
		return err
	}
	code := jsonrpc.CodeInvalidParams
	switch e.Kind {
	case config.Denied:
		code = jsonrpc.CodeDenied
	case config.Unknown:
		code = codeNotFound
	}
	return &jsonrpc.Error{Code: code, Message: e.Error()}
}
