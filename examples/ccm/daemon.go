package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

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
	configured ccm.Config
}

// runCommand is ccm run.
func (p *program) runCommand() *cobra.Command {
	d := &daemon{program: p}
	cmd := &cobra.Command{
		Use:   "run --id ID --host [NAME=]ENDPOINT --mqtt URL",
		Short: "Run the module as a daemon", Long: runHelp,
		Example: "  ccm run --id dev-1 --host /dev/ttyUSB0 --mqtt mqtt://127.0.0.1:1883\n" +
			"  ccm run --id dev-1 --host /dev/ttyS1 --host pump=tcp:192.0.2.7:4000 \\\n" +
			"      --mqtt mqtts://PREFIX-ats.iot.REGION.amazonaws.com --cert c.pem --key k.pem --shadow aws",
		Args:              exactly(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.configure(cmd); err != nil {
				return err
			}
			return d.serve(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.id, "id", "", "`name` of the device, unlike that of any other at the broker")
	f.StringArrayVar(&d.hosts, "host", nil, "`[NAME=]ENDPOINT` of a host; may be given several times")
	f.StringVar(&d.url, "mqtt", "", "`URL` of the broker: mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
	f.StringVar(&d.shadow, "shadow", "none", "device `shadow`: aws (AWS IoT Core, or ccm shadows at the broker) or none")
	f.BoolVar(&d.verbose, "verbose", false, "log every frame, and what the hosts print besides")
	d.mqtt.add(cmd)
	cmd.RegisterFlagCompletionFunc("shadow", cobra.FixedCompletions([]string{"aws", "none"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// configure reads the flags.
func (d *daemon) configure(cmd *cobra.Command) error {
	switch {
	case d.id == "":
		return usage(cmd, "--id is missing")
	case len(d.hosts) == 0:
		return usage(cmd, "--host is missing")
	case d.url == "":
		return usage(cmd, "--mqtt is missing")
	case d.shadow != "none" && d.shadow != "aws":
		return usage(cmd, "--shadow must be aws or none, not %q", d.shadow)
	}
	broker, path, err := d.mqtt.config(cmd, "--mqtt", d.url)
	switch {
	case err != nil:
		return err
	case path != "":
		return usage(cmd, "--mqtt: no path, please; the device is named by --id")
	}
	c := ccm.Config{ID: d.id, Info: ccm.Info{App: "ccm", FWVersion: version()}, Cloud: &broker, Logger: d.logger()}
	if d.shadow == "aws" {
		c.Shadow.Backend = ccm.AWS
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
		return ccm.HostConfig{}, usage(cmd, "--host %s: %v", text, err)
	}
	h := ccm.HostConfig{Name: name, Open: func(ctx context.Context) (framing.Port, error) {
		port, err := at.open(ctx)
		if err != nil {
			return nil, at.openError(err)
		}
		return port, nil
	}}
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

// serve runs the module.
func (d *daemon) serve(ctx context.Context) error {
	m, err := ccm.New(d.configured)
	if err != nil {
		return err
	}
	d.configured.Logger.Info("module starts", "id", m.ID(), "hosts", strings.Join(d.hosts, " "), "broker", d.configured.Cloud.Servers[0])
	err = m.Run(ctx)
	d.configured.Logger.Info("module has stopped", "id", m.ID())
	return err
}

// logger logs to standard error.
func (d *daemon) logger() *slog.Logger {
	level := slog.LevelInfo
	if d.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: level}))
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
