package main

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/ccm/wifi"
	"github.com/spf13/cobra"
)

const wifiHelp = `Looks for wireless networks, and has a module join one.`

// wifiCommand is ccm wifi.
func (p *program) wifiCommand() *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use: "wifi", Short: "Find wireless networks and join one", Long: wifiHelp + "\n\n" + remoteHelp,
		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.wifiScan(&f), p.wifiJoin(&f), p.wifiStatus(&f))
	for _, sub := range cmd.Commands() {
		f.add(sub)
	}
	return cmd
}

// wifiScan is ccm wifi scan.
func (p *program) wifiScan(f *remoteFlags) *cobra.Command {
	return &cobra.Command{
		Use: "scan", Short: "List the access points that the module hears", Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				text, err := at.call(ctx, "Wifi.Scan", "")
				if err != nil {
					return err
				}
				var found []struct {
					SSID, BSSID         string
					Auth, Channel, RSSI int
				}
				if err := json.Unmarshal(text, &found); err != nil {
					return fmt.Errorf("Wifi.Scan: %w", err)
				}
				p.out.printf("%-32s  %-17s  %-7s  %4s  %s\n", "SSID", "BSSID", "CHANNEL", "RSSI", "SECURITY")
				for _, a := range found {
					p.out.printf("%-32s  %-17s  %7d  %4d  %s\n", readable([]byte(a.SSID)), a.BSSID, a.Channel, a.RSSI, wifi.Auth(a.Auth))
				}
				return nil
			})
		},
	}
}

const wifiJoinHelp = `Stores a network and its password, switches the module's own access point off, and
has the module reboot, after which it joins. The password is read from --pass-file
("-" is standard input, where a terminal is asked for it); without one, the network
is an open one.`

// wifiJoin is ccm wifi join.
func (p *program) wifiJoin(f *remoteFlags) *cobra.Command {
	var c changing
	passFile := ""
	cmd := &cobra.Command{
		Use: "join SSID", Short: "Have the module join a network", Long: wifiJoinHelp,
		Example: "  ccm wifi join --port http://192.168.4.1/rpc --pass-file - MyNet",
		Args:    exactly("SSID"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.check(cmd); err != nil {
				return err
			}
			password, err := wifiPassword(cmd, passFile)
			switch {
			case err != nil:
				return err
			case !utf8.ValidString(args[0]) || !utf8.ValidString(password):
				return usage(cmd, "SSID and password must be UTF-8, as others cannot be sent")
			}
			values := []assignment{{"wifi.ap.enable", "false"}, {"wifi.sta.enable", "true"}, {"wifi.sta.ssid", args[0]}, {"wifi.sta.pass", password}}
			return p.with(cmd, f, func(ctx context.Context, at *callee) error { return p.change(ctx, at, c, values) })
		},
	}
	cmd.Flags().StringVar(&passFile, "pass-file", "", "`file` with the password of the network")
	c.add(cmd)
	return cmd
}

// wifiPassword reads the password of a network.
func wifiPassword(cmd *cobra.Command, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := readPassword(cmd, file, "password of the network: ")
	if err != nil {
		return "", fmt.Errorf("--pass-file: %w", err)
	}
	if text == "" {
		return "", usage(cmd, "--pass-file: it is empty")
	}
	return text, nil
}

// wifiStatus is ccm wifi status.
func (p *program) wifiStatus(f *remoteFlags) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Tell how the module is connected", Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, f, func(ctx context.Context, at *callee) error {
				text, err := at.call(ctx, "Sys.GetInfo", "")
				if err != nil {
					return err
				}
				var info struct {
					Wifi struct {
						Station string `json:"sta_ip"`
						AP      string `json:"ap_ip"`
						Status  string
						SSID    string
					}
				}
				if err := json.Unmarshal(text, &info); err != nil {
					return fmt.Errorf("Sys.GetInfo: %w", err)
				}
				p.out.printf("status        %s\nnetwork       %s\naddress       %s\naccess point  %s\n",
					info.Wifi.Status, orNone(info.Wifi.SSID), orNone(info.Wifi.Station), orNone(info.Wifi.AP))
				return nil
			})
		},
	}
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return readable([]byte(text))
}
