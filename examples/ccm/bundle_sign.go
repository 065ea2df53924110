package main

import (
	"bytes"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/spf13/cobra"
)

const bundleSignHelp = `Adds signatures to a bundle. The manifest keeps its bytes, and so other signatures
stay good; a signature in a slot that is taken is replaced.

A --key is a private key in PEM, ECDSA P-256 or Ed25519, for the slot N; without N
it is the position of the flag, from 0 on. To make one, and the public key for
ccm bundle verify:

  openssl ecparam -name prime256v1 -genkey -noout -out release.pem
  openssl pkey -in release.pem -pubout -out release.pub.pem`

// bundleSignCommand is ccm bundle sign.
func (p *program) bundleSignCommand() *cobra.Command {
	var keys []string
	var out string
	cmd := &cobra.Command{
		Use: "sign FILE --key [N=]FILE", Short: "Add signatures to a bundle", Long: bundleSignHelp,
		Example: "  ccm bundle sign fw.zip --key release.pem",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(keys) == 0 {
				return usage(cmd, "--key is missing")
			}
			if out == "" {
				out = args[0]
			}
			var signers fwbundle.Signers
			for i, text := range keys {
				slot, path, err := splitSlot(text, i)
				if err != nil {
					return usage(cmd, "--key %s: %v", text, err)
				}
				if err := addSigner(&signers, slot, path); err != nil {
					return err
				}
				if err := notOver("-o", out, path); err != nil {
					return err
				}
			}
			return p.sign(args[0], out, signers)
		},
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "private key `[N=]FILE` of signature N; may be repeated")
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` to write (default: in the place of FILE)")
	return cmd
}

// sign signs the bundle in a file.
func (p *program) sign(in, out string, signers fwbundle.Signers) error {
	b, _, err := openBundle(in)
	if err != nil {
		return err
	}
	var signed bytes.Buffer
	if _, err := b.Sign(&signed, signers); err != nil {
		return err
	}
	if err := writeFile(out, signed.Bytes(), 0o644); err != nil {
		return err
	}
	if b, err = fwbundle.Open(bytes.NewReader(signed.Bytes()), int64(signed.Len())); err != nil {
		return err
	}
	p.log.printf("%s: %d bytes, %s\n", out, signed.Len(), summary(b))
	return nil
}
