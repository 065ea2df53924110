package main

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"path/filepath"
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
	m.MAC = d.state.address()
	var err error
	if m.Files, err = files.Open(files.Options{Dir: d.state.files()}); err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	o := config.Options{Dir: d.state.dir, MAC: m.MAC, Logger: d.log}
	if d.state.rootKey != "" {
		o.RootKey = config.KeyFile(d.state.rootKey)
	} else {
		o.RootKey = config.SystemdCredential()
	}
	if m.Store, err = config.Open(cmd.Context(), o); err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	m.Access = access.Config{ReadFile: d.state.read, AllowAnonymousLAN: d.doors.anonymous}
	if d.doors.public() && !d.doors.anonymous {
		return d.firstPassword(m.Store)
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
func (s *stateFlags) address() string {
	if s.mac != "" {
		return strings.ToUpper(strings.NewReplacer(":", "", "-", "").Replace(s.mac))
	}
	all, _ := net.Interfaces()
	for _, i := range all {
		if len(i.HardwareAddr) == 6 && i.Flags&net.FlagLoopback == 0 {
			return fmt.Sprintf("%X", []byte(i.HardwareAddr))
		}
	}
	return "000000000000"
}

// firstPassword makes a password if there is none.
func (d *daemon) firstPassword(s *config.Store) error {
	if s.String("rpc.auth_file") != "" || s.String("rpc.acl") != "" || s.String("rpc.acl_file") != "" {
		return nil
	}
	random := make([]byte, 10)
	rand.Read(random)
	password := strings.ToLower(base32.StdEncoding.EncodeToString(random))
	line := access.HTDigest("admin", s.String("rpc.auth_domain"), password, access.Algorithm(s.Int("rpc.auth_algo")))
	if err := writeFile(filepath.Join(d.state.dir, authFile), []byte(line), 0o600); err != nil {
		return fmt.Errorf("the first password: %w", err)
	}
	err := s.Set(config.Change{Key: "rpc.auth_file", Value: []byte(`"` + authFile + `"`), Vendor: true})
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
