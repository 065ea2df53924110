package main

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/spf13/cobra"
)

// stateFlags say where a daemon keeps what outlives it.
type stateFlags struct {
	dir, rootKey, mac string
}

func (s *stateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.dir, "state", "", "`directory` of the configuration and the files; made if it is missing")
	cmd.Flags().StringVar(&s.rootKey, "root-key", "", "`file` of 32 bytes that encrypts the secrets of the configuration; outside of --state, mode 0600")
	cmd.Flags().StringVar(&s.mac, "mac", "", "hardware `address` of the device, 12 hex digits; else that of a network interface")
	cmd.MarkFlagDirname("state")
}

// files returns the directory of the files.
func (s *stateFlags) files() string { return filepath.Join(s.dir, "files") }

// authFile is the name of the password file in the state directory.
const authFile = "rpc_auth.txt"

// maxAuthFile is the longest password file (spec/security.md 3.2), and the longest
// file of rules.
const maxAuthFile = 8 << 10

// open opens the state, if there is one.
func (d *daemon) open(cmd *cobra.Command, m *ccm.Management) error {
	m.SetDebug = d.setDebug
	if d.state.dir == "" {
		if d.doors.any() {
			return usage(cmd, "--http and the like need --state, where the password and the rules are")
		}
		return nil
	}
	if d.doors.https != "" && (d.doors.cert == "" || d.doors.key == "") {
		return usage(cmd, "--https needs --https-cert and --https-key")
	}
	var err error
	if m.MAC, err = d.state.address(); err != nil {
		return usage(cmd, "--mac: %v", err)
	}
	if m.Files, err = files.Open(files.Options{Dir: d.state.files()}); err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	if d.unlock, err = lockState(d.state.dir); err != nil {
		d.unlock = func() {}
		return fmt.Errorf("--state: %w", err)
	}
	o := config.Options{Dir: d.state.dir, MAC: m.MAC, Logger: d.log, Schema: config.CCM().WithRules(
		func(v config.View) error { return access.CheckRules(v.String("rpc.acl")) })}
	if d.state.rootKey != "" {
		o.RootKey = config.KeyFile(d.state.rootKey)
	} else {
		o.RootKey = config.SystemdCredential()
	}
	if m.Store, err = config.Open(cmd.Context(), o); err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	if err := d.missingKey(m.Store); err != nil {
		return err
	}
	m.Access = access.Config{ReadFile: d.state.read, AllowAnonymousLAN: d.doors.anonymous}
	if err := d.passwordLeft(m.Store); err != nil {
		return err
	}
	if name := m.Store.String("rpc.auth_file"); name != "" {
		if _, err := d.state.read(name); err != nil {
			d.log.Error("nobody can log in: rpc.auth_file cannot be read", "err", err)
		}
	}
	return nil
}

// missingKey refuses a --root-key that is not there: secrets would be stored in
// clear. But a device that has lost the key of what it has stored starts
// (spec/reliability.md E4).
func (d *daemon) missingKey(s *config.Store) error {
	if d.state.rootKey == "" {
		return nil
	}
	_, err := os.Stat(d.state.rootKey)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
	case len(s.Status().Unreadable) == 0:
		return fmt.Errorf("--root-key: %w; make one by: head -c 32 /dev/urandom > FILE, with mode 0600", err)
	default:
		d.log.Error("the root key is missing: stored secrets are lost, new ones are stored in clear", "file", d.state.rootKey)
	}
	return nil
}

// read reads a file of rules or of passwords, which lie in the state directory.
func (s *stateFlags) read(name string) ([]byte, error) {
	if name != filepath.Base(name) || name == "." || name == ".." {
		return nil, fmt.Errorf("%q is no name of a file", name)
	}
	return readSmall(filepath.Join(s.dir, name), maxAuthFile)
}

// address returns the hardware address of the device.
func (s *stateFlags) address() (string, error) {
	if s.mac != "" {
		digits := strings.ToUpper(strings.NewReplacer(":", "", "-", "").Replace(s.mac))
		if len(digits) != 12 || strings.Trim(digits, "0123456789ABCDEF") != "" {
			return "", fmt.Errorf("want 12 hex digits, not %q", s.mac)
		}
		return digits, nil
	}
	all, _ := net.Interfaces()
	for _, i := range all {
		if len(i.HardwareAddr) == 6 && i.Flags&net.FlagLoopback == 0 {
			return fmt.Sprintf("%X", []byte(i.HardwareAddr)), nil
		}
	}
	return "000000000000", nil
}

// passwordLeft uses the passwords that are there although the configuration has
// forgotten them, because its file was damaged.
func (d *daemon) passwordLeft(s *config.Store) error {
	path := filepath.Join(d.state.dir, authFile)
	damaged := func(p config.Problem) bool { return p.Key == "" }
	if s.String("rpc.auth_file") != "" || !slices.ContainsFunc(s.Problems(), damaged) {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	d.log.Error("a file of the configuration is damaged; the passwords that are left are used", "file", path)
	return usePasswords(s)
}

// firstPassword makes a password if there is none, but some door is open to others. A
// file of passwords that is left of a first start that was cut, or of what a factory
// reset has ended, is replaced: nobody may know what is in it.
func (d *daemon) firstPassword(s *config.Store) error {
	switch {
	case !d.doors.public() || d.doors.anonymous:
		return nil
	case s.String("rpc.auth_file") != "" || s.String("rpc.acl") != "" || s.String("rpc.acl_file") != "":
		return nil
	}
	random := make([]byte, 10)
	rand.Read(random)
	password := strings.ToLower(base32.StdEncoding.EncodeToString(random))
	line := access.HTDigest("admin", s.String("rpc.auth_domain"), password, access.Algorithm(s.Int("rpc.auth_algo")))
	if err := writeFile(filepath.Join(d.state.dir, authFile), []byte(line), 0o600); err != nil {
		return fmt.Errorf("the first password: %w", err)
	}
	err := usePasswords(s)
	if err == nil {
		err = s.Save(config.SaveOptions{})
	}
	if err != nil {
		return fmt.Errorf("the first password: %w", err)
	}
	d.out.printf("user admin, password %s (it is not shown again)\n", password)
	if err := d.out.failed(); err != nil {
		return errors.Join(errors.New("nobody has seen the first password: remove "+authFile+" from --state and start again"), err)
	}
	return nil
}

// usePasswords has the configuration in use name the file of the passwords.
func usePasswords(s *config.Store) error {
	return s.Set(config.Change{Key: "rpc.auth_file", Value: []byte(`"` + authFile + `"`), Vendor: true})
}
