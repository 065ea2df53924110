package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/spf13/cobra"
)

const bundleVerifyHelp = `Verifies a bundle as a device would: the archive, the manifest, the digests of all
parts, the platform, the signatures, the version and the addresses. What is wrong is
named with the stage (container, names, limits, manifest, part, policy, signature)
and the entry of the archive; the exit code is then 1.

A --key is a public key, ECDSA P-256 or Ed25519, as PEM or as the base64 text of the
configuration members update.keyN. It verifies the signature of its slot N. If there
are keys and no --sig-req-mask, the signatures of all these slots must be good.`

// bundleVerifyCommand is ccm bundle verify.
func (p *program) bundleVerifyCommand() *cobra.Command {
	var flags policyFlags
	var base, size number
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Tell whether a device would take a bundle", Long: bundleVerifyHelp,
		Example: "  ccm bundle verify fw.zip --flash-size 64K --key 0=release.pub.pem",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, err := flags.policy(cmd)
			if err != nil {
				return err
			}
			policy.FlashBase, policy.FlashSize = uint32(base), uint32(size)
			b, _, err := openBundle(args[0])
			if err != nil {
				return withCure(err, bundleCure(err))
			}
			if err := b.Check(policy); err != nil {
				return withCure(fmt.Errorf("%s: %w", args[0], err), bundleCure(err))
			}
			p.out.printf("%s: good: %s%s\n", args[0], summary(b), goodText(b.Verify(policy.Keys)))
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().Var(&base, "flash-base", "where the flash of the host begins (default 0x08000000)")
	cmd.Flags().Var(&size, "flash-size", "bytes of the flash of the host (default 128K)")
	return cmd
}

// bundleCure returns what helps with a bundle that is refused, a line each.
func bundleCure(err error) []string {
	refused, is := errors.AsType[*fwbundle.Error](err)
	switch {
	case errors.Is(err, fwbundle.ErrSignature):
		return []string{"ccm bundle inspect shows the signatures; --key N=FILE is for signature N"}
	case errors.Is(err, fwbundle.ErrPlatform):
		return []string{"--platform says for which device to check;",
			"ccm bundle create --platform says for which a bundle is"}
	case errors.Is(err, fwbundle.ErrDigest):
		return []string{"the bundle is damaged: fetch it or make it again"}
	case errors.Is(err, fwbundle.ErrDowngrade), errors.Is(err, fwbundle.ErrSameVersion):
		return []string{"without --no-downgrade any version is taken"}
	case is && refused.Stage == fwbundle.StageContainer:
		return []string{"is it a bundle? If so it is damaged: fetch it or make it again"}
	}
	return nil
}

// withCure adds to an error what the user can do about it, a line each.
func withCure(err error, lines []string) error {
	for _, line := range lines {
		err = fmt.Errorf("%w\n  %s", err, line)
	}
	return err
}

// goodText names the signatures that are good, by the bits of them.
func goodText(good int) string {
	if good == 0 {
		return ""
	}
	var names []string
	for n := range fwbundle.Slots * 2 {
		switch {
		case good&(1<<n) == 0:
		case n < fwbundle.Slots:
			names = append(names, fmt.Sprintf("sig%d", n))
		default:
			names = append(names, fmt.Sprintf("ed%d", n-fwbundle.Slots))
		}
	}
	return ", good: " + strings.Join(names, " ")
}

// policyFlags are what a device demands of bundles.
type policyFlags struct {
	platform, mask, installed string
	keys                      []string
	noDowngrade               bool
}

// policyNames are the names of the flags.
var policyNames = []string{"platform", "key", "sig-req-mask", "installed-version", "no-downgrade"}

// add adds the flags to a command.
func (p *policyFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.platform, "platform", "", "platform that the bundle must be for (default ccm_host)")
	f.StringArrayVar(&p.keys, "key", nil, "public key `[N=]FILE` of signature N; may be repeated")
	f.StringVar(&p.mask, "sig-req-mask", "", "`mask` of the signatures that must be good; negative: none")
	f.StringVar(&p.installed, "installed-version", "", "`version` that the device has, for --no-downgrade")
	f.BoolVar(&p.noDowngrade, "no-downgrade", false, "refuse a version lower than the installed one")
}

// policy returns what the flags say.
func (p *policyFlags) policy(cmd *cobra.Command) (fwbundle.Policy, error) {
	policy := fwbundle.Policy{Platform: p.platform, Installed: p.installed}
	if p.noDowngrade {
		if p.installed == "" {
			return policy, usage(cmd, "--no-downgrade needs --installed-version")
		}
		policy.AllowDowngrade = new(bool)
	}
	required := 0
	for i, text := range p.keys {
		slot, path, err := splitSlot(text, i)
		if err != nil {
			return policy, usage(cmd, "--key %s: %v", text, err)
		}
		bit, err := addKey(&policy.Keys, slot, path)
		if err != nil {
			return policy, err
		}
		required |= bit
	}
	switch mask, err := strconv.ParseInt(p.mask, 0, 32); {
	case p.mask == "" && required != 0:
		policy.SigReqMask = &required
	case p.mask == "":
	case err != nil || bits.Len64(uint64(max(mask, 0))) > 2*fwbundle.Slots:
		return policy, usage(cmd, "--sig-req-mask: want a number of at most %d bits, or -1", 2*fwbundle.Slots)
	default:
		required = int(mask)
		policy.SigReqMask = &required
	}
	return policy, nil
}

// addKey adds the public key in a file, and returns the bit of its signature.
func addKey(keys *fwbundle.Keys, slot int, path string) (bit int, err error) {
	text, err := readFile(path)
	if err != nil {
		return 0, err
	}
	key, err := publicKey(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if keys.ECDSA[slot] == nil {
			keys.ECDSA[slot] = key
			return 1 << slot, nil
		}
	case ed25519.PublicKey:
		if keys.Ed25519[slot] == nil {
			keys.Ed25519[slot] = key
			return 1 << (fwbundle.Slots + slot), nil
		}
	}
	return 0, fmt.Errorf("%s: slot %d has a key already", path, slot)
}

// publicKey reads a public key: PEM, or what a device has in its configuration.
func publicKey(text []byte) (any, error) {
	line := strings.TrimSpace(string(text))
	if block, _ := pem.Decode(text); block != nil {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if block.Type != "PUBLIC KEY" || err != nil {
			return nil, fmt.Errorf("PEM of type %q is no public key; openssl pkey -pubout makes one", block.Type)
		}
		if key, is := key.(ed25519.PublicKey); is {
			return key, nil
		}
		line = base64.StdEncoding.EncodeToString(block.Bytes)
	}
	if key, err := fwbundle.ParseEd25519Key(line); err == nil {
		return key, nil
	}
	key, err := fwbundle.ParsePublicKey(line)
	if err != nil {
		return nil, fmt.Errorf("%w, nor an Ed25519 one", err)
	}
	return key, nil
}
