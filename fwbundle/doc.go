// Package fwbundle reads, checks, makes and signs firmware bundles: the zip
// archives of `mos create-fw-bundle`, with which a module updates its host and
// itself.
//
// # A bundle
//
// A bundle is a zip archive with a file manifest.json, which names a platform and
// parts, and one file for each part:
//
//	{
//	 "name": "fw",
//	 "platform": "ccm_host",
//	 "parts": {
//	  "host_fw": {"type": "STM32", "src": "FIRMWARE.BIN", "addr": 134217728,
//	              "size": 1500, "cs_sha1": "02ea...", "cs_sha256": "3b34..."}
//	 }
//	}
//
// A part has data in the archive (src), or is size bytes of one value (fill).
//
// # Reading a file
//
// [Open] verifies the whole archive: its structure, the names, the manifest, and
// the CRC, the size and the digests of everything in it. [Bundle.Check] then asks
// whether this device should take it: platform, signatures, version, types and
// addresses. [Bundle.Image] gives what to write into the flash, and checks first.
//
//	b, err := fwbundle.Open(file, size)
//	if err != nil { ... }
//	image, err := b.Image(fwbundle.Policy{FlashSize: 64 << 10})
//	if errors.Is(err, fwbundle.ErrPlatform) {
//		// not for the host: maybe for the module itself
//	}
//
// # Reading a stream
//
// A [Stream] takes the bytes of a bundle as they come from a socket, in pieces of
// any size, and hands out the data of the parts, holding none of it: its verdict
// on most bad bundles is there long before the last byte. It judges what it has
// seen, which is less than Open sees; who stores a bundle and flashes later opens
// the stored file.
//
//	s := fwbundle.NewStream(fwbundle.StreamConfig{Policy: &policy, Part: sink})
//	_, err := io.Copy(s, conn)
//	if err := errors.Join(err, s.Close()); err != nil { ... }
//
// # Making bundles
//
// A [Draft] takes parts in the grammar of the tool, or as data, and writes the
// bytes that the tool writes, in a defined order: manifest.json first, then the
// parts sorted by name.
//
//	d := fwbundle.Draft{Name: "fw", Platform: "ccm_host"}
//	err := d.Add("host_fw:type=STM32,src=FIRMWARE.BIN,addr=0x8000000", os.ReadFile)
//	_, err = d.WriteTo(file)
//
// [Edit] makes a draft of a bundle, as the option -i of the tool does.
//
// # Signatures
//
// A bundle carries up to eight ECDSA signatures over the bytes of its manifest,
// sig0 to sig7, and so over the digests in it; they are in an extra field of
// manifest.json in the archive. Signature N is verified with key N of the
// [Policy]. If Policy.SigReqMask is positive, the signatures of its bits must all
// be good; 0 refuses every bundle; by default signatures are ignored. Bits 8 to 15
// stand for the Ed25519 signatures ed0 to ed7, which other tools do not know.
//
// # Images
//
// [ParseImage] reads what linkers make: ELF, Intel HEX, or plain bytes. An [Image]
// is a sorted list of [Segment], without overlaps.
//
// # Errors
//
// All that is wrong with a bundle is an [*Error]: it has the [Stage] whose rule is
// broken, the entry of the archive and the part. Conditions that a caller may want
// to tell apart can be found with errors.Is: [ErrPlatform], [ErrSignature],
// [ErrLocked], [ErrDowngrade], [ErrSameVersion], [ErrExpired], [ErrTruncated],
// [ErrDigest].
//
// # What is refused though the tool writes it
//
// Two entries with one base name; parts with neither src nor fill; a fill part
// with digests; bundles without parts; extra fields that are no exact chain of
// records; the signature of an end record (50 4b 05 06) behind the data of the
// first entry, so that no two readers can disagree on where the archive ends.
//
// # Where drafts differ from the tool
//
// Entries are in the order of the names of the parts, where the tool follows no
// order. Parts with the same file share one entry. A quote must end where it began.
// A build without a time has none, rather than one in the year 1. Numbers in the
// manifest of an edited bundle keep all their digits. Members have the case they are
// written in. The data of a HEX file is at the addresses that its records say, also
// if the first one has an offset, in ascending order.
//
// # Limits
//
//	archive, and all that is in it inflated   Limits.MaxArchive, 16 MiB
//	entries                                   Limits.MaxEntries, 64
//	name of an entry                          Limits.MaxName, 255 bytes
//	manifest                                  Limits.MaxManifest, 64 KiB
//	nesting of its JSON                       Limits.MaxDepth, 32
//	parts                                     Limits.MaxParts, 16
//	record with the signatures                8 KiB
//
// Nothing is allocated because a header says so. Open needs less than 200 KiB
// beside the manifest, a Stream less than 64 KiB with a manifest of 4 KiB; an
// Image and a Draft hold their data.
//
// # Concurrency
//
// A Bundle and a Manifest do not change and may be used by several goroutines if
// the io.ReaderAt may. All other types are for one goroutine at a time. The
// package starts no goroutines that run by themselves; a Stream must be closed.
//
// Sources: bundles made by mos 2.20; ota-common of Mongoose OS (README); PKWARE
// APPNOTE 6.3; Intel Hexadecimal Object File Format, revision A; System V ABI.
package fwbundle
