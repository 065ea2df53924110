package fwbundle

import (
	"cmp"
	"time"
)

// Policy is what a device demands of a bundle. The zero value takes bundles for an
// STM32 host with 128 KiB of flash at 0x08000000, of any version, signed or not.
type Policy struct {
	Limits Limits // of Open once more, for a device that allows less

	// Platform must be equal to that of the bundle; "" stands for "ccm_host".
	Platform string
	// Types are those of parts that the device knows; nil stands for STM32
	// alone. A part of another type is refused unless its flash is false.
	Types []string

	// FlashBase and FlashSize are the flash of the STM32, in bytes: parts for
	// the host must be inside. 0 stands for 0x08000000 and 128 KiB.
	FlashBase, FlashSize uint32
	// WriteAlign is what addresses of host parts must be a multiple of, and
	// what their sizes are rounded up to before they are compared; 0 stands
	// for 4.
	WriteAlign uint32
	// Pad is what Image pads parts with, to a multiple of WriteAlign; nil
	// stands for 0xFF.
	Pad *byte

	// AllowNoChecksum takes parts without a digest.
	AllowNoChecksum bool

	// SigReqMask tells which signatures must be good. Bit N stands for sigN,
	// bit 8+N for edN. Negative: signatures are ignored. 0: no bundle is taken
	// at all. Positive: all signatures of these bits must be good under the
	// key of their slot, and each part needs cs_sha256. nil stands for -1.
	SigReqMask *int
	Keys       Keys

	// Installed is the highest version that the device has committed to, and
	// InstalledBuild the build_id that is installed; "" if there is none.
	Installed, InstalledBuild string
	// AllowDowngrade takes versions lower than Installed. nil stands for
	// true, but for false if SigReqMask is positive.
	AllowDowngrade *bool
	// MinVersion is the lowest version that is taken in any case; "" is none.
	MinVersion string
	// IgnoreSameVersion refuses, with ErrSameVersion, a bundle of the version
	// and build that are installed.
	IgnoreSameVersion bool
	// Counter is the security counter of the device: the member sec_cnt of
	// the manifest, 0 without it, must not be lower.
	Counter uint64
	// Now is the time, to be compared with the member expires of the
	// manifest; the zero time if the clock cannot be trusted.
	Now time.Time
}

// withDefaults returns the policy with all fields set that have a default.
func (p Policy) withDefaults() Policy {
	p.Limits = p.Limits.withDefaults()
	p.Platform = cmp.Or(p.Platform, "ccm_host")
	if p.Types == nil {
		p.Types = []string{HostType}
	}
	p.FlashBase = cmp.Or(p.FlashBase, 0x08000000)
	p.FlashSize = cmp.Or(p.FlashSize, 128<<10)
	p.WriteAlign = cmp.Or(p.WriteAlign, 4)
	if p.SigReqMask == nil {
		p.SigReqMask = new(-1)
	}
	if p.AllowDowngrade == nil {
		p.AllowDowngrade = new(*p.SigReqMask <= 0)
	}
	if p.Pad == nil {
		p.Pad = new(byte(0xff))
	}
	return p
}
