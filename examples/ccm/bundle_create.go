package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/spf13/cobra"
)

const bundleCreateHelp = `Makes a firmware bundle, as mos create-fw-bundle does, with the same flags. A PART
is a name and properties:

  host_fw:type=STM32,src=firmware.bin,addr=0x08000000   the content of a file
  host_pad:type=STM32,fill=0xff,size=1024,addr=0x08002000   bytes of one value
  host_cfg:-                                             no such part, with -i

A src that ends in .hex is read as Intel HEX: the addresses are those of the file,
and --src-dir is not put before it. Numbers may have 0x or 0 in front.

Flags that describe the bundle count more than what -i or --manifest says. A bundle
from -i loses its signatures and its extra data.

Signature N is made with the N-th --sign-key, an ECDSA P-256 or Ed25519 key in PEM;
an empty one leaves a gap.`

// bundleMaker makes a bundle.
type bundleMaker struct {
	*program
	out, in, manifest                              string
	name, platform, description, buildInfo, srcDir string
	compress                                       bool
	attrs, extra, keys                             []string
	read                                           []string // files, that must not be written over
}

// bundleCreateCommand is ccm bundle create.
func (p *program) bundleCreateCommand() *cobra.Command {
	m := &bundleMaker{program: p}
	cmd := &cobra.Command{
		Use: "create -o OUT [PART...]", Short: "Make a bundle", Long: bundleCreateHelp,
		Example: "  ccm bundle create -o fw.zip --name fw --platform ccm_host \\\n" +
			"      host_fw:type=STM32,src=firmware.bin,addr=0x08000000\n" +
			"  ccm bundle create -o new.zip -i old.zip --name fw2 host_cfg:-",
		RunE: func(cmd *cobra.Command, args []string) error { return m.create(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVarP(&m.out, "output", "o", "", "`file` to write")
	f.StringVarP(&m.in, "input", "i", "", "bundle to begin with")
	f.StringVar(&m.manifest, "manifest", "", "manifest to begin with; the files of its parts are read")
	f.StringVar(&m.name, "name", "", "name of the firmware")
	f.StringVar(&m.platform, "platform", "", "for which device it is, such as ccm_host")
	f.StringVar(&m.description, "description", "", "description of the firmware")
	f.StringVar(&m.buildInfo, "build-info", "", "JSON `file` with build_version, build_id, build_timestamp")
	f.StringVar(&m.srcDir, "src-dir", "", "`directory` of the files that are given by a relative path")
	f.BoolVar(&m.compress, "compress", false, "deflate the files in the bundle")
	f.StringArrayVar(&m.attrs, "attr", nil, "further member `KEY=VALUE` of the manifest; may be repeated")
	f.StringArrayVar(&m.extra, "extra-attr", nil, "`KEY=VALUE` beside the manifest, not signed; may be repeated")
	f.StringArrayVar(&m.keys, "sign-key", nil, "PEM `file` of the key to sign with; may be repeated")
	return cmd
}

// create makes the bundle.
func (m *bundleMaker) create(cmd *cobra.Command, parts []string) error {
	if err := m.check(cmd, parts); err != nil {
		return err
	}
	d, err := m.begin()
	if err != nil {
		return err
	}
	if err := m.describe(cmd, d); err != nil {
		return err
	}
	for _, spec := range parts {
		if err := d.Add(spec, m.readPart); err != nil {
			return err
		}
	}
	for n, path := range m.keys {
		if path == "" {
			continue
		}
		if err := addSigner(&d.Signers, n, path); err != nil {
			return err
		}
		m.read = append(m.read, path)
	}
	var out bytes.Buffer
	if _, err := d.WriteTo(&out); err != nil {
		if e, is := errors.AsType[*fwbundle.Error](err); is && e.Stage == fwbundle.StageContainer && !m.compress {
			err = fmt.Errorf("%s: %w: give --compress", m.out, err)
		}
		return err
	}
	if err := notOver("-o", m.out, append(m.read, m.manifest, m.buildInfo)...); err != nil {
		return err
	}
	if err := writeFile(m.out, out.Bytes(), 0o644); err != nil {
		return err
	}
	b, err := fwbundle.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		return err
	}
	m.log.printf("%s: %d bytes, %s\n", m.out, out.Len(), summary(b))
	m.warn(b)
	return nil
}

// warn tells if devices will refuse the bundle, wherever their flash is.
func (m *bundleMaker) warn(b *fwbundle.Bundle) {
	policy := anywhere(fwbundle.Policy{Platform: b.Manifest().Platform})
	policy.WriteAlign = 4 // the least of what there is
	if err := b.Check(policy); err != nil {
		m.log.printf("warning: every device will refuse it: %v\n", err)
	}
}

// check checks flags and the grammar of the parts.
func (m *bundleMaker) check(cmd *cobra.Command, parts []string) error {
	switch {
	case m.out == "":
		return usage(cmd, "-o is missing")
	case m.in != "" && m.manifest != "":
		return usage(cmd, "give -i or --manifest, not both")
	case len(parts) == 0 && m.in == "" && m.manifest == "":
		return usage(cmd, "PART is missing")
	case len(m.keys) > fwbundle.Slots:
		return usage(cmd, "--sign-key: at most %d", fwbundle.Slots)
	}
	for _, pair := range append(append([]string(nil), m.attrs...), m.extra...) {
		if _, err := fwbundle.ParseAttr(pair); err != nil {
			return usage(cmd, "%v", err)
		}
	}
	for _, spec := range parts {
		if name, removes := strings.CutSuffix(spec, ":-"); removes && !strings.Contains(name, ":") {
			continue
		}
		if _, err := fwbundle.ParsePart(spec); err != nil {
			return usage(cmd, "%v", err)
		}
	}
	return nil
}

// begin returns what to begin with: a bundle, a manifest or nothing.
func (m *bundleMaker) begin() (*fwbundle.Draft, error) {
	switch {
	case m.in != "":
		b, _, err := openBundle(m.in)
		if err != nil {
			return nil, err
		}
		return fwbundle.Edit(b)
	case m.manifest != "":
		text, err := readFile(m.manifest)
		if err != nil {
			return nil, err
		}
		manifest, err := fwbundle.ParseManifest(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.manifest, err)
		}
		return m.fromManifest(manifest)
	}
	return new(fwbundle.Draft), nil
}

// fromManifest returns a draft with the members and the parts of a manifest.
func (m *bundleMaker) fromManifest(manifest *fwbundle.Manifest) (*fwbundle.Draft, error) {
	d := &fwbundle.Draft{
		Name: manifest.Name, Platform: manifest.Platform, Description: manifest.Description,
		Version: manifest.Version, BuildID: manifest.BuildID, BuildTimestamp: manifest.BuildTimestamp,
		Attrs: manifest.Attrs,
	}
	for _, part := range manifest.Parts {
		var data []byte
		if part.Fill == nil && part.Src != "" {
			if strings.HasSuffix(part.Src, ".hex") {
				return nil, fmt.Errorf("%s: part %q: give a HEX file as a PART, not in a manifest", m.manifest, part.Name)
			}
			var err error
			if data, err = m.readPart(part.Src); err != nil {
				return nil, fmt.Errorf("%s: part %q: %w", m.manifest, part.Name, err)
			}
		}
		if err := d.AddPart(part, data); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// describe sets what the flags say of the bundle.
func (m *bundleMaker) describe(cmd *cobra.Command, d *fwbundle.Draft) error {
	for _, s := range []struct {
		flag, value string
		to          *string
	}{{"name", m.name, &d.Name}, {"platform", m.platform, &d.Platform}, {"description", m.description, &d.Description}} {
		if cmd.Flags().Changed(s.flag) {
			*s.to = s.value
		}
	}
	if m.buildInfo != "" {
		text, err := readFile(m.buildInfo)
		if err != nil {
			return err
		}
		if err := d.SetBuildInfo(text); err != nil {
			return fmt.Errorf("%s: %w", m.buildInfo, err)
		}
	}
	d.Compress = m.compress
	for _, set := range []struct {
		pairs []string
		with  func(fwbundle.Attr)
	}{{m.attrs, d.SetAttr}, {m.extra, d.SetExtra}} {
		for _, pair := range set.pairs {
			a, err := fwbundle.ParseAttr(pair)
			if err != nil {
				return err
			}
			set.with(a)
		}
	}
	return nil
}

// readPart reads the file of a part.
func (m *bundleMaker) readPart(src string) ([]byte, error) {
	if m.srcDir != "" && !filepath.IsAbs(src) && !strings.HasSuffix(src, ".hex") {
		src = filepath.Join(m.srcDir, src)
	}
	m.read = append(m.read, src)
	return readFile(src)
}

// addSigner adds a private key, in a PEM file, for a slot.
func addSigner(s *fwbundle.Signers, slot int, path string) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	key, err := fwbundle.ParsePrivateKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	slots := &s.ECDSA
	if _, is := key.(ed25519.PrivateKey); is {
		slots = &s.Ed25519
	}
	if slots[slot] != nil {
		return fmt.Errorf("%s: %w", path, errors.New("the slot has a key already"))
	}
	slots[slot] = key
	return nil
}
