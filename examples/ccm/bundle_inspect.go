package main

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/spf13/cobra"
)

const bundleInspectHelp = `Prints what is in a bundle. Before that the archive, the manifest and the digests of
all parts are verified; signatures and whether a device would take the bundle are
not: see ccm bundle verify.`

// bundleInspectCommand is ccm bundle inspect.
func (p *program) bundleInspectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE", Short: "Print what is in a bundle", Long: bundleInspectHelp, Args: exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			b, data, err := openBundle(args[0])
			if err != nil {
				return err
			}
			p.out.printf("%s: %d bytes, sha256 %x\n", args[0], len(data), sha256.Sum256(data))
			p.out.printf("%s%s%s%s", manifestText(b.Manifest()), partsText(b.Manifest()), entriesText(b), extraText(b))
			return nil
		},
	}
}

// row returns an indented line.
func row(what, format string, args ...any) string {
	return fmt.Sprintf("  %-13s %s\n", what, fmt.Sprintf(format, args...))
}

// manifestText describes the bundle as a whole. What is not there is left out.
func manifestText(m *fwbundle.Manifest) string {
	var b strings.Builder
	b.WriteString("manifest\n")
	for _, member := range []struct{ what, value string }{
		{"name", m.Name}, {"platform", m.Platform}, {"description", m.Description},
		{"version", m.Version}, {"build id", m.BuildID}, {"built", m.BuildTimestamp},
	} {
		if member.value != "" {
			b.WriteString(row(member.what, "%s", readable([]byte(member.value))))
		}
	}
	b.WriteString(attrsText(m.Attrs))
	return b.String()
}

// attrsText returns a line with members that have no place of their own.
func attrsText(attrs []fwbundle.Attr) string {
	if len(attrs) == 0 {
		return ""
	}
	var pairs []string
	for _, a := range attrs {
		pairs = append(pairs, readable([]byte(a.Name))+"="+readable(a.Value))
	}
	return row("more", "%s", strings.Join(pairs, ", "))
}

// partsText describes the parts.
func partsText(m *fwbundle.Manifest) string {
	var b strings.Builder
	for i := range m.Parts {
		p := &m.Parts[i]
		b.WriteString("part " + readable([]byte(p.Name)) + "\n")
		if p.Type != "" {
			b.WriteString(row("type", "%s", readable([]byte(p.Type))))
		}
		if p.Addr != 0 || p.ForHost() {
			b.WriteString(row("address", "0x%08X", p.Addr))
		}
		b.WriteString(row("size", "%d bytes", p.Size))
		if p.Fill != nil {
			b.WriteString(row("fill", "0x%02X", *p.Fill))
		} else {
			b.WriteString(row("file", "%s", readable([]byte(p.Src))))
		}
		for _, digest := range []struct{ what, value string }{{"sha1", p.SHA1}, {"sha256", p.SHA256}} {
			if digest.value != "" {
				b.WriteString(row(digest.what, "%s", digest.value))
			}
		}
		if !p.Written() {
			b.WriteString(row("flash", "false: not to be written"))
		}
		b.WriteString(attrsText(p.Attrs))
	}
	return b.String()
}

// entriesText lists the files of the archive.
func entriesText(b *fwbundle.Bundle) string {
	text := "entries\n"
	for _, e := range b.Entries() {
		how := ""
		if e.Compressed {
			how = fmt.Sprintf(", deflated to %d bytes", e.Packed)
		}
		text += row(readable([]byte(e.Name)), "%d bytes%s, crc32 %08x", e.Size, how, e.CRC32)
	}
	return text
}

// extraText lists the signatures, and what else is beside the manifest.
func extraText(b *fwbundle.Bundle) string {
	signed, others := slots(b)
	if len(signed) == 0 && len(others) == 0 {
		return "signatures\n  none\n"
	}
	text := "signatures\n"
	for _, name := range signed {
		kind := "ECDSA P-256"
		if strings.HasPrefix(name, "ed") {
			kind = "Ed25519"
		}
		text += row(name, "%s, not verified here", kind)
	}
	if len(signed) == 0 {
		text += "  none\n"
	}
	if len(others) > 0 {
		text += "beside the manifest, not signed\n" + attrsText(others)
	}
	return text
}

// slots splits the extra record into the names of the signatures and the rest.
func slots(b *fwbundle.Bundle) (signed []string, others []fwbundle.Attr) {
	for _, a := range b.Extra() {
		known := false
		for n := range fwbundle.Slots {
			known = known || a.Name == fmt.Sprintf("sig%d", n) || a.Name == fmt.Sprintf("ed%d", n)
		}
		if known {
			signed = append(signed, a.Name)
		} else {
			others = append(others, a)
		}
	}
	return signed, others
}

// count returns a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// summary tells in a few words what a bundle is.
func summary(b *fwbundle.Bundle) string {
	m := b.Manifest()
	host, size := 0, uint64(0)
	for i := range m.Parts {
		if m.Parts[i].ForHost() {
			host++
			size += uint64(m.Parts[i].Size)
		}
	}
	text := fmt.Sprintf("%s, %d for the host with %d bytes", count(len(m.Parts), "part"), host, size)
	if m.Platform != "" {
		text = "platform " + readable([]byte(m.Platform)) + ", " + text
	}
	if m.Version != "" {
		text = "version " + readable([]byte(m.Version)) + ", " + text
	}
	if signed, _ := slots(b); len(signed) > 0 {
		text += ", signatures " + strings.Join(signed, " ")
	}
	return text
}
