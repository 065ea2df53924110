package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/spf13/cobra"
)

// configCommand is ccm config.
func (p *program) configCommand() *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use: "config", Short: "Read and change the configuration of a module",
		Long: "Reads and changes the configuration of a module, ours or an original one.\n\n" + remoteHelp,
		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.configGet(&f), p.configSet(&f), p.configSave(&f))
	for _, sub := range cmd.Commands() {
		f.add(sub)
	}
	return cmd
}

// configGet is ccm config get.
func (p *program) configGet(f *remoteFlags) *cobra.Command {
	level := -1
	cmd := &cobra.Command{
		Use: "get [KEY]", Short: "Print a value, a part of the configuration, or all of it",
		Example: "  ccm config get --port ws://192.168.1.20/rpc wifi.sta\n  ccm config get --level 0 mqtt.keep_alive",
		Args:    between(0, "KEY"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("level") && (level < 0 || level > 9) {
				return usage(cmd, "--level must be 0 to 9")
			}
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				text, err := at.call(ctx, "Config.Get", getParams(args, level))
				if err != nil {
					return err
				}
				var laid bytes.Buffer
				if json.Indent(&laid, text, "", "  ") != nil {
					laid.Write(text)
				}
				p.out.printf("%s\n", laid.String())
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&level, "level", -1, "`layer`: 0 are the defaults, 1 to 8 the vendor's; else what is in use")
	return cmd
}

// getParams are those of Config.Get.
func getParams(args []string, level int) string {
	var parts []string
	if len(args) > 0 {
		key, _ := mjson.Appendf(nil, `"key":%Q`, args[0])
		parts = append(parts, string(key))
	}
	if level >= 0 {
		parts = append(parts, `"level":`+strconv.Itoa(level))
	}
	if len(parts) == 0 {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}

const configSetHelp = `Changes values, saves them, and has the module reboot, after which all of them
are in use. Each KEY is looked up first, and VALUE must fit its type; the change
is made as a whole or not at all.`

// changing are the flags of what changes the configuration.
type changing struct {
	noSave, noReboot, tryOnce bool
	level                     int
}

func (c *changing) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.noSave, "no-save", false, "change what is in use only, until the next reboot")
	cmd.Flags().BoolVar(&c.noReboot, "no-reboot", false, "save, and do not reboot")
	cmd.Flags().BoolVar(&c.tryOnce, "try-once", false, "save for the next start only")
	cmd.Flags().IntVar(&c.level, "level", 0, "`layer` to change: 1 to 8 are the vendor's, 9 is the user's and the default")
}

// check checks the flags.
func (c *changing) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("level") && (c.level < 1 || c.level > 9) {
		return usage(cmd, "--level must be 1 to 9")
	}
	return nil
}

// configSet is ccm config set.
func (p *program) configSet(f *remoteFlags) *cobra.Command {
	var c changing
	cmd := &cobra.Command{
		Use: "set KEY=VALUE...", Short: "Change values, save and reboot", Long: configSetHelp,
		Example: "  ccm config set --port ws://192.168.1.20/rpc mqtt.enable=true mqtt.server=broker:1883\n" +
			"  ccm config set --no-save debug.level=4",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, "KEY=VALUE is missing")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := assignments(cmd, args)
			if err != nil {
				return err
			}
			if err := c.check(cmd); err != nil {
				return err
			}
			return p.with(cmd, f, func(ctx context.Context, at *callee) error { return p.change(ctx, at, c, values) })
		},
	}
	c.add(cmd)
	return cmd
}

// assignment is a KEY=VALUE.
type assignment struct{ key, value string }

// assignments reads KEY=VALUE...
func assignments(cmd *cobra.Command, args []string) (all []assignment, err error) {
	for _, text := range args {
		key, value, is := strings.Cut(text, "=")
		switch {
		case !is || key == "":
			return nil, usage(cmd, "want KEY=VALUE, not %q", text)
		case !utf8.ValidString(text):
			return nil, usage(cmd, "%s: the value is not UTF-8, and cannot be sent", readable([]byte(key)))
		}
		all = append(all, assignment{key, value})
	}
	return all, nil
}

// change changes the configuration of a module.
func (p *program) change(ctx context.Context, at *callee, c changing, values []assignment) error {
	tree := map[string]any{}
	for _, v := range values {
		now, err := at.call(ctx, "Config.Get", getParams([]string{v.key}, -1))
		if err != nil {
			return fmt.Errorf("%s: %w", v.key, err)
		}
		typed, err := typedLike(now, v.value)
		if err == nil {
			err = plant(tree, strings.Split(v.key, "."), typed)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.key, err)
		}
	}
	params := map[string]any{"config": tree}
	if !c.noSave {
		params["save"] = true
	}
	if !c.noSave && !c.noReboot {
		params["reboot"] = true
	}
	if c.tryOnce {
		params["try_once"] = true
	}
	if c.level > 0 {
		params["level"] = c.level
	}
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	answer, err := at.call(ctx, "Config.Set", string(text))
	if err != nil {
		return err
	}
	if !c.noSave && !mjson.GetBool(answer, "$.saved", false) {
		return p.saveAfter(ctx, at, c)
	}
	p.told(c)
	return nil
}

// told says what has happened.
func (p *program) told(c changing) {
	switch {
	case c.noSave:
		p.log.printf("changed, not saved\n")
	case c.noReboot:
		p.log.printf("saved\n")
	default:
		p.log.printf("saved; the module reboots\n")
	}
}

// saveAfter saves at modules that do not save in Config.Set.
func (p *program) saveAfter(ctx context.Context, at *callee, c changing) error {
	_, err := at.call(ctx, "Config.Save", fmt.Sprintf(`{"try_once":%v,"reboot":%v}`, c.tryOnce, !c.noReboot))
	if err == nil {
		p.told(c)
	}
	return err
}

// typedLike reads a value as the type of the one that is there.
func typedLike(now []byte, text string) (any, error) {
	switch (mjson.Value{Raw: now}).Type() {
	case mjson.String:
		return text, nil
	case mjson.True, mjson.False:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("want true or false, not %q", text)
		}
		return b, nil
	case mjson.Number:
		if !jsonrpc.Valid([]byte(text)) || (mjson.Value{Raw: []byte(text)}).Type() != mjson.Number {
			return nil, fmt.Errorf("want a number, not %q", text)
		}
		return json.RawMessage(text), nil
	}
	return nil, errors.New("it is no single value; name one below it")
}

// plant puts a value into a tree.
func plant(tree map[string]any, path []string, value any) error {
	for _, name := range path[:len(path)-1] {
		below, is := tree[name].(map[string]any)
		if !is {
			if tree[name] != nil {
				return errors.New("it is set twice")
			}
			below = map[string]any{}
			tree[name] = below
		}
		tree = below
	}
	last := path[len(path)-1]
	if tree[last] != nil {
		return errors.New("it is set twice")
	}
	tree[last] = value
	return nil
}

// configSave is ccm config save.
func (p *program) configSave(f *remoteFlags) *cobra.Command {
	var reboot, tryOnce bool
	cmd := &cobra.Command{
		Use: "save", Short: "Save what is in use", Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				return p.saveAfter(ctx, at, changing{noReboot: !reboot, tryOnce: tryOnce})
			})
		},
	}
	cmd.Flags().BoolVar(&reboot, "reboot", false, "reboot then")
	cmd.Flags().BoolVar(&tryOnce, "try-once", false, "save for the next start only")
	return cmd
}
