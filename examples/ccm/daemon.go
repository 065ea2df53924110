package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/spf13/cobra"
)

const runHelp = `Runs the module until it is interrupted. Ports and the connection to the broker
are opened again whenever they are gone.

The host of --host ENDPOINT has the classic shadow, and is the one whose methods
the cloud may call by their bare names. A host of --host NAME=ENDPOINT has the
shadow of that name, and methods NAME/METHOD.

--state DIR keeps the configuration of the device there, in conf1.json to
conf9.json, and its files, such as certificates, in DIR/files. The mos tool, and
ccm config, wifi and fs, change them through the doors: --http, --rpc-serial,
--tcp, --udp, and RPC over MQTT. Only one ccm run at a time has a DIR. With mqtt.enable in the configuration, --mqtt is
not needed.

Whoever comes over the network has to log in, but for this machine as long as there
is no password. When a door is open to other machines, and there is no password
yet, one is made for the user admin, and printed once.

The password for the broker is read from --mqtt-pass-file, or from the environment
variable CCM_MQTT_PASSWORD. The log goes to standard error.

ccm --help lists the forms of an ENDPOINT.`

// daemon is the module as a program.
type daemon struct {
	*program
	mqtt       mqttFlags
	id, url    string
	hosts      []string
	shadow     string
	verbose    bool
	state      stateFlags
	doors      doorFlags
	level      slog.LevelVar
	log        *slog.Logger
	shared     map[string]func(ctx context.Context) (framing.Port, error) // ports that mos shares with a host
	configured ccm.Config
	unlock     func() // gives the state back
}

// runCommand is ccm run.
func (p *program) runCommand() *cobra.Command {
	d := &daemon{program: p, unlock: func() {}}
	cmd := &cobra.Command{
		Use:   "run [--state DIR] [--id ID] [--host [NAME=]ENDPOINT] [--mqtt URL]",
		Short: "Run the module as a daemon", Long: runHelp,
		Example: "  ccm run --id dev-1 --host /dev/ttyUSB0 --mqtt mqtt://127.0.0.1:1883\n" +
			"  ccm run --state /var/lib/ccm --host /dev/ttyS1 --http 0.0.0.0:80\n" +
			"  ccm run --id dev-1 --host /dev/ttyS1 --host pump=tcp:192.0.2.7:4000 \\\n" +
			"      --mqtt mqtts://PREFIX-ats.iot.REGION.amazonaws.com --cert c.pem --key k.pem --shadow aws",
		Args:              exactly(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer func() { d.unlock() }()
			if err := d.configure(cmd); err != nil {
				return err
			}
			return d.serve(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.id, "id", "", "`name` of the device, unlike that of any other at the broker; else device.id of the configuration")
	f.StringArrayVar(&d.hosts, "host", nil, "`[NAME=]ENDPOINT` of a host; may be given several times")
	f.StringVar(&d.url, "mqtt", "", "`URL` of the broker: mqtt://HOST[:PORT] or mqtts://HOST[:PORT]; else mqtt.* of the configuration")
	f.StringVar(&d.shadow, "shadow", "", "device `shadow`: aws (AWS IoT Core, or ccm shadows at the broker) or none; else shadow.lib of the configuration")
	f.BoolVar(&d.verbose, "verbose", false, "log every frame, and what the hosts print besides")
	d.state.add(cmd)
	d.doors.add(cmd)
	d.mqtt.add(cmd)
	cmd.RegisterFlagCompletionFunc("shadow", cobra.FixedCompletions([]string{"aws", "none"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// configure reads the flags, and the state.
func (d *daemon) configure(cmd *cobra.Command) error {
	switch {
	case d.id == "" && d.state.dir == "":
		return usage(cmd, "--id is missing, or --state, where the configuration names the device")
	case len(d.hosts) == 0 && d.state.dir == "":
		return usage(cmd, "--host is missing")
	case d.url == "" && d.state.dir == "":
		return usage(cmd, "--mqtt is missing")
	case d.shadow != "" && d.shadow != "none" && d.shadow != "aws":
		return usage(cmd, "--shadow must be aws or none, not %q", d.shadow)
	}
	d.log = d.logger()
	c := ccm.Config{ID: d.id, Info: ccm.Info{App: "ccm", FWVersion: version()}, Logger: d.log}
	if err := d.open(cmd, &c.Management); err != nil {
		return err
	}
	if err := d.cloud(cmd, &c); err != nil {
		return err
	}
	if d.verbose {
		c.Trace = func(e ccm.TraceEvent) { traceFrame(c.Logger, e) }
	}
	for _, text := range d.hosts {
		h, err := d.host(cmd, text, c.Logger)
		if err != nil {
			return err
		}
		c.Hosts = append(c.Hosts, h)
	}
	d.configured = c
	return d.check(cmd, c)
}

// cloud says which broker, and which shadow there.
func (d *daemon) cloud(cmd *cobra.Command, c *ccm.Config) error {
	switch {
	case d.url != "":
		broker, path, err := d.mqtt.config(cmd, "--mqtt", d.url)
		switch {
		case err != nil:
			return err
		case path != "":
			return usage(cmd, "--mqtt: no path, please; the device is named by --id")
		}
		c.Cloud = &broker
	case c.Management.Store != nil:
		var err error
		if c.Cloud, err = ccm.CloudFromStore(c.Management.Store, d.state.files(), d.log); err != nil {
			// A module that cannot be managed any more would be worse.
			d.log.Error("no connection to a broker: the configuration is not usable", "err", err)
		}
	}
	s := c.Management.Store
	if lib := d.shadow; c.Cloud != nil && (lib == "aws" || lib == "" && s != nil && s.Bool("shadow.enable") && s.String("shadow.lib") == "aws") {
		c.Shadow.Backend = ccm.AWS
		if s != nil {
			c.Shadow.Thing = s.String("aws.thing_name")
		}
		if thing := c.Shadow.Thing; thing != "" {
			if _, err := ccm.AWS(nil, thing, ""); err != nil {
				d.log.Error("no shadow: aws.thing_name is not usable", "aws.thing_name", thing, "err", err)
				c.Shadow = ccm.ShadowConfig{}
			}
		}
	}
	return nil
}

// check has the configuration checked by those who will use it.
func (d *daemon) check(cmd *cobra.Command, c ccm.Config) error {
	flags := []string{"ccm: Config.ID", "--id"} // what is set by what
	seen := map[string]bool{}
	for i, h := range c.Hosts {
		if seen[h.Name] {
			return usage(cmd, "--host %s: there is another host named %q; write NAME=ENDPOINT", d.hosts[i], h.Name)
		}
		seen[h.Name] = true
		flags = append(flags, fmt.Sprintf("ccm: Config.Hosts[%d].Name", i), "--host")
	}
	if _, err := ccm.New(c); err != nil {
		return usage(cmd, "%s", strings.NewReplacer(flags...).Replace(err.Error()))
	}
	return nil
}

// host reads [NAME=]ENDPOINT.
func (d *daemon) host(cmd *cobra.Command, text string, log *slog.Logger) (ccm.HostConfig, error) {
	name, rest := splitName(text)
	at, err := parseEndpoint(rest)
	if err != nil {
		return ccm.HostConfig{}, usage(cmd, "--host %s: %v", shown(text), err)
	}
	open := func(ctx context.Context) (framing.Port, error) {
		port, err := at.open(ctx)
		if err != nil {
			return nil, at.openError(err)
		}
		return port, nil
	}
	h := ccm.HostConfig{Name: name, Open: open}
	if d.doors.share {
		h.Open = d.share(name, open)
	}
	if d.verbose {
		h.Junk = func(line []byte) { log.Debug("host prints", "host", name, "text", readable(line)) }
	}
	return h, nil
}

// splitName takes the name off [NAME=]ENDPOINT. An endpoint may have an = too,
// but not before a slash, a question mark or the colon behind its kind.
func splitName(text string) (name, rest string) {
	if i := strings.IndexAny(text, "=:/?"); i >= 0 && text[i] == '=' {
		return text[:i], text[i+1:]
	}
	return "", text
}

// serve runs the module, and the program anew if that is wanted.
func (d *daemon) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var again atomic.Bool
	if d.configured.Management.Store != nil {
		d.configured.Management.Reboot = func() {
			again.Store(true)
			cancel()
		}
	}
	doors, err := d.doors.open(ctx, d)
	if err != nil {
		return err
	}
	if s := d.configured.Management.Store; s != nil { // not before the doors are open: nobody would look at it again
		if err := d.firstPassword(s); err != nil {
			return err
		}
	}
	d.configured.Management.Doors = doors
	m, err := ccm.New(d.configured)
	if err != nil {
		return err
	}
	d.sharePorts(m.Service())
	broker := "none"
	if d.configured.Cloud != nil {
		broker = d.configured.Cloud.Servers[0]
	}
	d.log.Info("module starts", "id", m.ID(), "hosts", strings.Join(d.hosts, " "), "broker", broker)
	err = m.Run(ctx)
	d.log.Info("module has stopped", "id", m.ID())
	if err == nil && again.Load() {
		return d.restart()
	}
	return err
}

// logger logs to standard error, as much as the level of now says.
func (d *daemon) logger() *slog.Logger {
	if d.verbose {
		d.level.Set(slog.LevelDebug)
	}
	return slog.New(slog.NewTextHandler(d.program.log, &slog.HandlerOptions{Level: &d.level}))
}

// setDebug takes a level of Mongoose OS: 0 errors, 1 warnings, 2 information, and
// from 3 on everything.
func (d *daemon) setDebug(level int) error {
	d.level.Set([...]slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, slog.LevelDebug}[level])
	return nil
}

// traceFrame logs a frame, or what else came.
func traceFrame(log *slog.Logger, e ccm.TraceEvent) {
	what := e.RPC.String()
	if e.Line != 0 {
		what = e.Line.String()
	}
	if e.RPC == jsonrpc.EventSent || e.RPC == jsonrpc.EventReceived {
		log.Debug("frame "+what, "host", e.Host, "frame", readable(e.Frame))
		return
	}
	log.Debug("line: "+what, "host", e.Host, "text", readable(e.Frame), "err", e.Err)
}

// version returns that of this build.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
