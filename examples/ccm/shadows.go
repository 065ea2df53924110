package main

import (
	"context"
	"sync"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/shadow/service"
	"github.com/spf13/cobra"
)

const shadowsHelp = `Keeps the device shadows of all devices at a broker that has none of its own, on
the topics and by the rules of AWS IoT Core: for ccm run --shadow aws, and for
programs written for AWS. One such service per broker. Who may use the topics of
which device, $aws/things/DEVICE/shadow/#, is for the broker to decide.

Without --dir the shadows are lost when the program ends. The log goes to standard
error.`

// shadowKeeper is the shadow service as a program.
type shadowKeeper struct {
	daemon
	dir string
}

// shadowsCommand is ccm shadows.
func (p *program) shadowsCommand() *cobra.Command {
	s := &shadowKeeper{daemon: daemon{program: p}}
	cmd := &cobra.Command{
		Use: "shadows --mqtt URL [--dir DIRECTORY]", Short: "Keep the device shadows of a broker",
		Long: shadowsHelp, Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  ccm shadows --mqtt mqtt://localhost --dir /var/lib/shadows",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.configureService(cmd); err != nil {
				return err
			}
			return s.keep(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.id, "id", "ccm-shadows", "client `id` at the broker, unlike any other")
	f.StringVar(&s.url, "mqtt", "", "`URL` of the broker: mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
	f.StringVar(&s.dir, "dir", "", "`directory` in which the shadows are stored; made if it is missing")
	f.BoolVar(&s.verbose, "verbose", false, "log every request")
	s.mqtt.add(cmd)
	return cmd
}

// configureService reads the flags.
func (s *shadowKeeper) configureService(cmd *cobra.Command) error {
	if s.url == "" {
		return usage(cmd, "--mqtt is missing")
	}
	broker, path, err := s.mqtt.config(cmd, "--mqtt", s.url)
	switch {
	case err != nil:
		return err
	case path != "":
		return usage(cmd, "--mqtt: no path, please; the service is for all devices")
	}
	s.configured = ccm.Config{ID: s.id, Cloud: &broker, Logger: s.logger(), NoCloudRPC: true}
	return s.check(cmd, s.configured)
}

// keep runs the service over a module without hosts.
func (s *shadowKeeper) keep(parent context.Context) error {
	m, err := ccm.New(s.configured)
	if err != nil {
		return err
	}
	shadows, err := service.New(service.Config{Transport: m.Transport(), Dir: s.dir, Observer: s.event})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(parent)
	var work sync.WaitGroup
	work.Go(func() { m.Run(ctx) })
	s.configured.Logger.Info("shadow service starts", "broker", s.configured.Cloud.Servers[0], "shadows", shadows.Stats().Shadows)
	err = shadows.Run(ctx)
	cancel()
	work.Wait()
	s.configured.Logger.Info("shadow service has stopped")
	return err
}

// event logs what the service does.
func (s *shadowKeeper) event(e service.Event) {
	log := s.configured.Logger.Debug
	switch e.Kind {
	case service.EventOnline:
		log = s.configured.Logger.Info
	case service.EventDropped, service.EventUnpublished, service.EventDisk, service.EventBroken:
		log = s.configured.Logger.Warn
	}
	args := []any{"thing", e.Thing}
	for _, a := range []struct{ key, value string }{{"shadow", e.Shadow}, {"topic", e.Topic}, {"file", e.File}} {
		if a.value != "" {
			args = append(args, a.key, a.value)
		}
	}
	if e.Err != nil {
		args = append(args, "err", e.Err)
	}
	log("shadow "+e.Kind.String(), args...)
}
