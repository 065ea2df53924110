package fwbundle

import (
	"cmp"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// ManifestName is the name of the manifest in the archive.
const ManifestName = "manifest.json"

// maxRecord is the longest extra record with signatures, in bytes.
const maxRecord = 8 << 10

// Limits bounds what a bundle may cost. A field that is 0 has its default. The
// zero value is what [Open] and [NewStream] use.
type Limits struct {
	MaxArchive  int64 // bytes of the archive, and of all its entries together when inflated; 16 MiB
	MaxEntries  int   // entries of the archive, directories too; 64
	MaxName     int   // bytes of the name of an entry; 255, which is also the most
	MaxManifest int   // bytes of manifest.json; 64 KiB
	MaxDepth    int   // nesting of the JSON, the outermost object included; 32, which is also the most
	MaxParts    int   // parts in the manifest; 16
}

// withDefaults returns the limits that are in force.
func (l Limits) withDefaults() Limits {
	return Limits{
		MaxArchive:  cmp.Or(l.MaxArchive, 16<<20),
		MaxEntries:  cmp.Or(l.MaxEntries, 64),
		MaxName:     min(cmp.Or(l.MaxName, 255), 255),
		MaxManifest: cmp.Or(l.MaxManifest, 64<<10),
		MaxDepth:    min(cmp.Or(l.MaxDepth, jsonrpc.MaxDepth), jsonrpc.MaxDepth),
		MaxParts:    cmp.Or(l.MaxParts, 16),
	}
}
