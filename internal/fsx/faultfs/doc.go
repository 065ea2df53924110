// Package faultfs is a disk in memory, for tests, that fails on demand: it loses
// power at a chosen operation, or refuses operations with chosen errors.
//
//	disk := faultfs.New()
//	disk.CutAt(n, 100)        // operation n stores 100 bytes, then power is gone
//	... run the store on disk; from the cut on it gets ErrPowerCut ...
//	for _, loss := range faultfs.Losses() {
//		after := disk.Restart(loss) // what a start after the cut finds
//		...
//	}
//
// Run the store once without a cut and [FS.Ops] tells how many operations there
// are to cut at. What a power cut may do to the disk is written in package fsx;
// a [Loss] is one way to do it.
//
// # Concurrency
//
// An FS and its files are safe for concurrent use, and nothing in them waits, so
// they work in a synctest bubble.
package faultfs
