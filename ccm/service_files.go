package ccm

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// The methods of the files (library rpc-service-fs of Mongoose OS; rulings D3).

// fsList is FS.List {path}: the names of the files.
func (m *Module) fsList(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	m.list(w, r, func(out []byte, f files.Info) []byte { return mjson.AppendQuote(out, f.Name) })
}

// fsListExt is FS.ListExt {path}: the names and sizes of the files.
func (m *Module) fsListExt(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	m.list(w, r, func(out []byte, f files.Info) []byte {
		out, _ = mjson.Appendf(out, `{"name":%Q,"size":%ld}`, f.Name, f.Size)
		return out
	})
}

// list answers with an array of what there is of each file. There is one
// directory; the others are empty.
func (m *Module) list(w *jsonrpc.Response, r *jsonrpc.Request, one func(out []byte, f files.Info) []byte) {
	dir, err := textParam(r, "path", "/")
	var all []files.Info
	if clean := path.Clean("/" + dir); err == nil && clean == "/" {
		all, err = m.cfg.Management.Files.List()
	}
	if err != nil {
		w.Fail(fileError(err, ""))
		return
	}
	out := []byte{'['}
	for i, f := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = one(out, f)
	}
	w.Result(append(out, ']'))
}

// fsGet is FS.Get {filename, offset=0, len=-1}: {"data":BASE64,"left":N}.
func (m *Module) fsGet(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	name, err := nameParam(r, "filename")
	var offset, n int64
	if err == nil {
		offset, err = intParam(r, "offset", 0)
	}
	if err == nil {
		n, err = intParam(r, "len", -1)
	}
	if err == nil && (offset < 0 || offset > files.MaxFile) {
		err = badParams("illegal offset")
	}
	if err != nil {
		w.Fail(err)
		return
	}
	all, err := m.cfg.Management.Files.Read(name)
	if err == nil && (files.IsPrivateKey(all) || m.isKeyFile(name)) {
		err = &jsonrpc.Error{Code: jsonrpc.CodeDenied, Message: "private keys are not handed out"}
	}
	var part []byte
	left := 0
	if err == nil {
		part, left, err = files.Range(all, int(offset), int(max(-1, min(n, files.MaxFile))))
	}
	if err != nil {
		w.Fail(fileError(err, name))
		return
	}
	w.Resultf(`{"data":%V,"left":%d}`, len(part), part, left)
}

// isKeyFile reports whether the configuration has the file for a private key.
func (m *Module) isKeyFile(name string) bool {
	s := m.cfg.Management.Store
	if s == nil {
		return false
	}
	for _, key := range privateKeys {
		if file := s.String(key); file != "" && baseName(file) == strings.TrimPrefix(name, "/") {
			return true
		}
	}
	return false
}

// privateKeys are the keys of the configuration that name files of private keys.
var privateKeys = [...]string{
	"mqtt.ssl_key", "mqtt1.ssl_key", "azure.key", "gcp.key", "watson.key", "dash.ssl_key", "http.ssl_key", "rpc.ws.ssl_key",
	"wifi.sta.key", "wifi.sta1.key", "wifi.sta2.key",
}

// fsPut is FS.Put {filename, data, append=false, offset}.
func (m *Module) fsPut(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	name, err := nameParam(r, "filename")
	var mode files.PutMode
	var data []byte
	if err == nil {
		mode, err = putMode(r)
	}
	if err == nil {
		data, err = dataParam(r)
	}
	if err == nil {
		err = fileError(m.cfg.Management.Files.Put(name, data, mode), name)
	}
	w.Fail(err)
}

// putMode reads where the data of FS.Put go.
func putMode(r *jsonrpc.Request) (p files.PutMode, err error) {
	if p.Append, err = boolParam(r, "append", false); err != nil {
		return p, err
	}
	offset, err := intParam(r, "offset", -1)
	switch {
	case err != nil:
		return p, err
	case offset > files.MaxFile || offset < -1:
		return p, badParams("illegal offset")
	}
	p.HasOffset, p.Offset = offset >= 0, int(max(offset, 0))
	return p, nil
}

// dataParam reads data, which are in base64.
func dataParam(r *jsonrpc.Request) ([]byte, error) {
	text, err := textParam(r, "data", "")
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, badParams("data is not base64")
	}
	return data, nil
}

// fsRemove is FS.Remove {filename}.
func (m *Module) fsRemove(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	name, err := nameParam(r, "filename")
	if err == nil {
		err = fileError(m.cfg.Management.Files.Remove(name), name)
	}
	w.Fail(err)
}

// fsRename is FS.Rename {src, dst}.
func (m *Module) fsRename(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	src, err := nameParam(r, "src")
	dst := ""
	if err == nil {
		dst, err = nameParam(r, "dst")
	}
	if err == nil {
		err = m.renameFile(src, dst)
	}
	w.Fail(err)
}

// renameFile gives a file another name, unless only the configuration tells that it is
// a private key: under another name nobody would know that.
func (m *Module) renameFile(src, dst string) error {
	all := m.cfg.Management.Files
	if m.isKeyFile(src) {
		if data, err := all.Read(src); err == nil && !files.IsPrivateKey(data) {
			return &jsonrpc.Error{Code: jsonrpc.CodeDenied, Message: "it is configured as a private key"}
		}
	}
	return fileError(all.Rename(src, dst), src)
}

// nameParam reads the name of a file.
func nameParam(r *jsonrpc.Request, key string) (string, error) {
	name, err := textParam(r, key, "")
	if err == nil && name == "" {
		err = badParams(key + " is required")
	}
	return name, err
}

// fileError translates an error of the files, with the texts of Mongoose OS where
// it has any.
func fileError(err error, name string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		text, _ := mjson.Appendf(nil, "failed to open file %Q", clip(name))
		return badParams(string(text))
	case errors.Is(err, files.ErrName), errors.Is(err, files.ErrOffset):
		return badParams(strings.TrimPrefix(err.Error(), "files: "))
	case errors.Is(err, files.ErrTooLarge), errors.Is(err, files.ErrFull):
		return &jsonrpc.Error{Code: jsonrpc.CodeTooLarge, Message: strings.TrimPrefix(err.Error(), "files: ")}
	case errors.Is(err, files.ErrPrivateKey):
		return &jsonrpc.Error{Code: jsonrpc.CodeDenied, Message: strings.TrimPrefix(err.Error(), "files: ")}
	}
	return err
}
