package ccmtest

import "github.com/ccmkit/ccmkit/internal/fsx/faultfs"

// Disk is a disk in memory that fails on demand, for config.Options.FS: it loses
// power at a chosen operation ([faultfs.FS.CutAt]), or refuses operations with chosen
// errors ([faultfs.FS.Fail]). After a power cut each of [DiskLosses] is a way in which
// the next start may find it ([faultfs.FS.Restart]). Make it with [NewDisk].
//
// A program runs once without a fault, and Ops tells at which operations power can
// fail:
//
//	disk := ccmtest.NewDisk()
//	disk.CutAt(n, 100) // operation n stores 100 bytes, then power is gone
//	... run the program ...
//	for _, loss := range ccmtest.DiskLosses() {
//		after := disk.Restart(loss)
//		... start it again ...
//	}
type Disk = faultfs.FS

// DiskOp is one operation of a [Disk].
type DiskOp = faultfs.Op

// DiskOpKind is a kind of operation, such as DiskWrite.
type DiskOpKind = faultfs.Kind

// The operations of a [Disk].
const (
	DiskOpen    = faultfs.Open
	DiskCreate  = faultfs.Create
	DiskRead    = faultfs.Read
	DiskWrite   = faultfs.Write
	DiskSync    = faultfs.Sync
	DiskClose   = faultfs.Close
	DiskRename  = faultfs.Rename
	DiskRemove  = faultfs.Remove
	DiskMkdir   = faultfs.Mkdir
	DiskReadDir = faultfs.ReadDir
	DiskSyncDir = faultfs.SyncDir
)

// DiskLoss is what a power cut does to what was not synced.
type DiskLoss = faultfs.Loss

// ErrPowerCut is the error of all operations after a cut.
var ErrPowerCut = faultfs.ErrPowerCut

// NewDisk returns a disk with nothing on it but its root and the current directory.
func NewDisk() *Disk { return faultfs.New() }

// DiskLosses returns the ways in which a [Disk] loses data.
func DiskLosses() []DiskLoss { return faultfs.Losses() }
