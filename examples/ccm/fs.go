package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/spf13/cobra"
)

// fsChunk is how much of a file goes in one call: as much as fits a frame of 4096
// bytes in base64.
const fsChunk = 2048

// fsLong is how long a file is whose way takes so long that it is shown, in bytes.
const fsLong = 16 << 10

// maxRemoteFile is the longest file that is fetched, in bytes.
const maxRemoteFile = 64 << 20

// fsCommand is ccm fs.
func (p *program) fsCommand() *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use: "fs", Short: "List, fetch and store the files of a module",
		Long: "Works on the files of a module, such as certificates. Private keys can be stored\nbut not fetched.\n\n" + remoteHelp,
		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.fsList(&f), p.fsGet(&f), p.fsPut(&f), p.fsRemove(&f), p.fsRename(&f))
	for _, sub := range cmd.Commands() {
		f.add(sub)
	}
	return cmd
}

// fsList is ccm fs ls.
func (p *program) fsList(f *remoteFlags) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the files", Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				text, err := at.call(ctx, "FS.ListExt", `{"path":"/"}`)
				if err != nil {
					return err
				}
				var all []struct {
					Name string
					Size int64
				}
				if err := json.Unmarshal(text, &all); err != nil {
					return fmt.Errorf("FS.ListExt: %w", err)
				}
				for _, one := range all {
					p.out.printf("%8d  %s\n", one.Size, readable([]byte(one.Name)))
				}
				return nil
			})
		},
	}
}

// fsGet is ccm fs get.
func (p *program) fsGet(f *remoteFlags) *cobra.Command {
	out := ""
	cmd := &cobra.Command{
		Use: "get NAME", Short: "Fetch a file to standard output, or with -o into a file",
		Args: exactly("NAME"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := canWrite("-o", out); err != nil {
				return err
			}
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				bar := p.progress()
				data, err := fetch(ctx, at, args[0], bar)
				bar.clear()
				if err != nil {
					return err
				}
				if out != "" {
					return writeFile(out, data, 0o600)
				}
				p.out.printf("%s", data)
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` to write")
	return cmd
}

// fetch gets a file, chunk by chunk.
func fetch(ctx context.Context, at *callee, name string, bar *progressBar) ([]byte, error) {
	var data []byte
	for {
		params, _ := mjson.Appendf(nil, `{"filename":%Q,"offset":%d,"len":%d}`, name, len(data), fsChunk)
		text, err := at.call(ctx, "FS.Get", string(params))
		if err != nil {
			return nil, err
		}
		var chunk struct {
			Data *string
			Left *int
		}
		if err := json.Unmarshal(text, &chunk); err != nil || chunk.Data == nil || chunk.Left == nil {
			return nil, fmt.Errorf("FS.Get: the answer is none: %s", readable(text))
		}
		part, err := base64.StdEncoding.DecodeString(*chunk.Data)
		if err != nil {
			return nil, fmt.Errorf("FS.Get: %w", err)
		}
		data = append(data, part...)
		if size := len(data) + *chunk.Left; size > fsLong {
			bar.show("get", int64(len(data)), int64(size))
		}
		switch {
		case *chunk.Left == 0:
			return data, nil
		case len(part) == 0 || len(data) > maxRemoteFile:
			return nil, errors.New("FS.Get: the file does not end")
		}
	}
}

// fsPut is ccm fs put.
func (p *program) fsPut(f *remoteFlags) *cobra.Command {
	return &cobra.Command{
		Use: "put FILE [NAME]", Short: "Store a file, under its own name or another one", Args: between(1, "FILE", "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readSmall(args[0], maxRemoteFile)
			if err != nil {
				return err
			}
			name := filepath.Base(args[0])
			if len(args) > 1 {
				name = args[1]
			}
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				bar := p.progress()
				defer bar.clear()
				return store(ctx, at, name, data, bar)
			})
		},
	}
}

// partSuffix is what a file of several chunks has behind its name until it is whole,
// so that the old one stays if the new one does not come to its end.
const partSuffix = ".part"

// store stores a file, as a whole if the module lets it: not if there is no room for
// another file, if the name is too long for that, or if it may not be renamed.
func store(ctx context.Context, at *callee, name string, data []byte, bar *progressBar) error {
	if len(data) <= fsChunk {
		_, err := put(ctx, at, name, data, bar)
		return err
	}
	part := name + partSuffix
	done, err := put(ctx, at, part, data, bar)
	refused := done == 0 && isRefusal(err)
	if err == nil {
		params, _ := mjson.Appendf(nil, `{"src":%Q,"dst":%Q}`, part, name)
		_, err = at.call(ctx, "FS.Rename", string(params))
		refused = isRefusal(err)
	}
	if err != nil {
		params, _ := mjson.Appendf(nil, `{"filename":%Q}`, part)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		at.remote.call(limited, "FS.Remove", string(params)) // as far as the module can be reached
	}
	if refused {
		_, err = put(ctx, at, name, data, bar)
	}
	return err
}

// isRefusal reports whether a module has answered with an error.
func isRefusal(err error) bool {
	_, is := errors.AsType[*jsonrpc.Error](err)
	return is
}

// put puts a file, chunk by chunk, and returns how much of it is there. An empty file
// is a chunk too.
func put(ctx context.Context, at *callee, name string, data []byte, bar *progressBar) (done int, err error) {
	for offset := 0; offset == 0 || offset < len(data); offset += fsChunk {
		part := data[offset:min(offset+fsChunk, len(data))]
		params, _ := mjson.Appendf(nil, `{"filename":%Q,"offset":%d,"append":%B,"data":%V}`, name, offset, offset > 0, len(part), part)
		if _, err := at.call(ctx, "FS.Put", string(params)); err != nil {
			return offset, err
		}
		if len(data) > fsLong {
			bar.show("put", int64(offset+len(part)), int64(len(data)))
		}
	}
	return len(data), nil
}

// fsRemove is ccm fs rm.
func (p *program) fsRemove(f *remoteFlags) *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Remove a file", Args: exactly("NAME"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, _ := mjson.Appendf(nil, `{"filename":%Q}`, args[0])
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				_, err := at.call(ctx, "FS.Remove", string(params))
				return err
			})
		},
	}
}

// fsRename is ccm fs mv.
func (p *program) fsRename(f *remoteFlags) *cobra.Command {
	return &cobra.Command{
		Use: "mv OLD NEW", Short: "Give a file another name", Args: exactly("OLD", "NEW"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, _ := mjson.Appendf(nil, `{"src":%Q,"dst":%Q}`, args[0], args[1])
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				_, err := at.call(ctx, "FS.Rename", string(params))
				return err
			})
		},
	}
}
