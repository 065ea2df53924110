package fwbundle

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// facts are what a policy judges. Those of a stream are not complete before its
// end: sizes of parts may not be known yet.
type facts struct {
	manifest *Manifest
	extra    []Attr // of the extra record
	size     int64  // of the archive
	entries  int
	longest  int // bytes of the longest name
}

// check returns why a device with a policy must not take a bundle.
func (f *facts) check(policy Policy) error {
	p := policy.withDefaults()
	for _, rule := range []func(*Policy) error{f.checkPlatform, f.checkLimits, f.checkSignatures, f.checkVersion, f.checkAge, f.checkParts} {
		if err := rule(&p); err != nil {
			return err
		}
	}
	return nil
}

func (f *facts) checkPlatform(p *Policy) error {
	if f.manifest.Platform != p.Platform {
		return refuse(StagePolicy, ManifestName, "%w: it is for %.40q, this is %.40q", ErrPlatform, f.manifest.Platform, p.Platform)
	}
	return nil
}

func (f *facts) checkLimits(p *Policy) error {
	for _, l := range []struct {
		what      string
		have, max int64
	}{
		{"bytes", f.size, p.Limits.MaxArchive},
		{"entries", int64(f.entries), int64(p.Limits.MaxEntries)},
		{"bytes in a name", int64(f.longest), int64(p.Limits.MaxName)},
		{"bytes in the manifest", int64(len(f.manifest.text)), int64(p.Limits.MaxManifest)},
		{"levels in the manifest", int64(f.manifest.depth), int64(p.Limits.MaxDepth)},
		{"parts", int64(len(f.manifest.Parts)), int64(p.Limits.MaxParts)},
	} {
		if l.have > l.max {
			return refuse(StageLimits, "", "%d %s, more than %d", l.have, l.what, l.max)
		}
	}
	return nil
}

func (f *facts) checkSignatures(p *Policy) error {
	mask := *p.SigReqMask
	if mask < 0 {
		return nil
	}
	if mask == 0 {
		return &Error{Stage: StageSignature, Err: ErrLocked}
	}
	if good := p.Keys.verify(f.extra, f.manifest.text); good&mask != mask {
		return refuse(StageSignature, ManifestName, "%w: %#x are good, %#x are required", ErrSignature, good, mask)
	}
	for i := range f.manifest.Parts {
		if part := &f.manifest.Parts[i]; part.Src != "" && part.SHA256 == "" {
			return refusePart(StageSignature, part.Src, part.Name, "%w: no cs_sha256, so it is not signed", ErrSignature)
		}
	}
	return nil
}

func (f *facts) checkVersion(p *Policy) error {
	v, m := f.manifest.Version, f.manifest
	switch {
	case p.IgnoreSameVersion && p.Installed != "" && v == p.Installed && m.BuildID == p.InstalledBuild:
		return &Error{Stage: StagePolicy, Entry: ManifestName, Err: ErrSameVersion}
	case p.MinVersion != "" && CompareVersions(v, p.MinVersion) < 0:
		return refuse(StagePolicy, ManifestName, "%w: version %.40q, at least %.40q is needed", ErrDowngrade, v, p.MinVersion)
	case p.Installed != "" && !*p.AllowDowngrade && CompareVersions(v, p.Installed) < 0:
		return refuse(StagePolicy, ManifestName, "%w: version %.40q, %.40q is installed", ErrDowngrade, v, p.Installed)
	}
	return nil
}

// checkAge judges the security counter and the date of expiry.
func (f *facts) checkAge(p *Policy) error {
	var counter uint64
	if value := Attribute(f.manifest.Attrs, "sec_cnt"); value != nil {
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			return refuse(StagePolicy, ManifestName, "sec_cnt: %w", errNotInteger)
		}
		counter = n
	}
	if counter < p.Counter {
		return refuse(StagePolicy, ManifestName, "%w: sec_cnt is %d, that of the device %d", ErrDowngrade, counter, p.Counter)
	}
	if value := Attribute(f.manifest.Attrs, "expires"); value != nil && !p.Now.IsZero() {
		text, _ := mjson.Value{Raw: value}.Text()
		if t, err := time.Parse(time.RFC3339, text); err != nil || p.Now.After(t) {
			return refuse(StagePolicy, ManifestName, "%w: %.40s", ErrExpired, value)
		}
	}
	return nil
}

func (f *facts) checkParts(p *Policy) error {
	var written []*Part
	found := false
	for i := range f.manifest.Parts {
		part := &f.manifest.Parts[i]
		if part.Fill == nil && part.SHA1+part.SHA256 == "" && !p.AllowNoChecksum {
			return refusePart(StagePolicy, part.Src, part.Name, "no digest")
		}
		if !part.Written() {
			continue
		}
		if !slices.Contains(p.Types, part.kind()) {
			return refusePart(StagePolicy, part.Src, part.Name, "unknown type %.40q", part.Type)
		}
		found = true
		if part.ForHost() {
			if err := part.checkPlace(p); err != nil {
				return err
			}
			written = append(written, part)
		}
	}
	if !found {
		return refuse(StagePolicy, ManifestName, "no part to write")
	}
	return checkOverlap(written, p)
}

// checkPlace judges the address and the size of a part for the host. A size that is
// not known yet is not judged.
func (part *Part) checkPlace(p *Policy) error {
	addr, end := uint64(part.Addr), part.end(p)
	switch {
	case !part.hasAddr:
		return refusePart(StagePolicy, part.Src, part.Name, "no addr")
	case part.hasSize && part.Size == 0:
		return refusePart(StagePolicy, part.Src, part.Name, "it is empty")
	case addr%uint64(p.WriteAlign) != 0:
		return refusePart(StagePolicy, part.Src, part.Name, "address %#08x is no multiple of %d", addr, p.WriteAlign)
	case addr < uint64(p.FlashBase) || end > uint64(p.FlashBase)+uint64(p.FlashSize):
		return refusePart(StagePolicy, part.Src, part.Name, "%#08x to %#08x is outside the flash, %#08x to %#08x",
			addr, end, p.FlashBase, uint64(p.FlashBase)+uint64(p.FlashSize))
	}
	return nil
}

// end returns the address behind a part and its padding.
func (part *Part) end(p *Policy) uint64 {
	align := uint64(p.WriteAlign)
	return uint64(part.Addr) + (uint64(part.Size)+align-1)/align*align
}

// checkOverlap refuses parts that share a byte of flash, padding included.
func checkOverlap(parts []*Part, p *Policy) error {
	slices.SortFunc(parts, func(a, b *Part) int { return cmp.Compare(a.Addr, b.Addr) })
	last, name := uint64(0), ""
	for _, part := range parts {
		if uint64(part.Addr) < last {
			return refusePart(StagePolicy, part.Src, part.Name, "it overlaps part %.80q", name)
		}
		last, name = part.end(p), part.Name
	}
	return nil
}
