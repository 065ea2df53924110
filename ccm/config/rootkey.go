package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// RootKeyProvider gives the key from which the key of the secrets is derived: a
// TPM, a keyring, a hardware module, [KeyFile] or [SystemdCredential]. If it has
// none its error wraps ErrNoRootKey: then secrets are stored in clear. Any other
// error is one of [Open].
type RootKeyProvider interface {
	RootKey(ctx context.Context) ([32]byte, error)
}

// RootKeyFunc is a function as a RootKeyProvider.
type RootKeyFunc func(ctx context.Context) ([32]byte, error)

// RootKey calls the function.
func (f RootKeyFunc) RootKey(ctx context.Context) ([32]byte, error) { return f(ctx) }

// FirstKey asks one provider after the other, until one does not say ErrNoRootKey.
func FirstKey(providers ...RootKeyProvider) RootKeyProvider {
	return RootKeyFunc(func(ctx context.Context) ([32]byte, error) {
		for _, p := range providers {
			if key, err := p.RootKey(ctx); !errors.Is(err, ErrNoRootKey) {
				return key, err
			}
		}
		return [32]byte{}, ErrNoRootKey
	})
}

// KeyFile is a file of 32 random bytes. It must be a regular file that is ours,
// that nobody else can read (mode 0600 or less), and outside of Options.Dir: a key
// beside what it locks is of no use. There is no key if there is no file.
func KeyFile(name string) RootKeyProvider { return keyFile(name) }

type keyFile string

// RootKey reads the file.
func (name keyFile) RootKey(context.Context) ([32]byte, error) {
	return readKey(string(name), private)
}

// credential is the name that the service manager gives the key by.
const credential = "ccm-root-key"

// SystemdCredential is the credential ccm-root-key that systemd hands to a service
// (LoadCredential=, or LoadCredentialEncrypted= for one that a TPM has sealed): 32
// bytes in $CREDENTIALS_DIRECTORY. There is no key if there is no such credential.
func SystemdCredential() RootKeyProvider {
	return RootKeyFunc(func(context.Context) ([32]byte, error) {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return [32]byte{}, ErrNoRootKey
		}
		// Who may read it is up to systemd, which may do it by access lists.
		return readKey(filepath.Join(dir, credential), func(fs.FileInfo) error { return nil })
	})
}

// readKey reads a key from a file that check does not mind.
func readKey(name string, check func(fs.FileInfo) error) (key [32]byte, err error) {
	before, err := os.Stat(name) // not to wait for the other end of a pipe
	if errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("%w: %w", ErrNoRootKey, err)
	}
	if err != nil {
		return key, fmt.Errorf("config: root key: %w", err)
	}
	if !before.Mode().IsRegular() {
		return key, fmt.Errorf("config: root key: %s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return key, fmt.Errorf("config: root key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = check(info)
	}
	if err != nil {
		return key, fmt.Errorf("config: root key: %s: %w", name, err)
	}
	if info.Size() != int64(len(key)) {
		return key, fmt.Errorf("config: root key: %s has %d bytes, want %d", name, info.Size(), len(key))
	}
	if _, err = io.ReadFull(f, key[:]); err != nil {
		return [32]byte{}, fmt.Errorf("config: root key: %w", err)
	}
	return key, nil
}

var errPublic = errors.New("others than its owner can read it: use mode 0600")

// outside checks that a key file is not in the directory that it locks.
func outside(p RootKeyProvider, dir string) error {
	name, is := p.(keyFile)
	if !is {
		return nil
	}
	rel, err := filepath.Rel(resolved(dir), resolved(string(name)))
	if err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("config: root key: %s is in the directory of the configuration", string(name))
	}
	return nil
}

// resolved returns a path without symbolic links, as far as there is one.
func resolved(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Join(resolvedDir(filepath.Dir(path)), filepath.Base(path))
}

func resolvedDir(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}
