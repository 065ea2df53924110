// Package fsx is the disk as this module uses it: a small interface, [FS], its
// implementation by package os, and what the stores have in common, the atomic
// replacement of a file.
//
// # What is durable
//
// Power may fail between any two operations. After it:
//
//   - what was written to a file before its last Sync is there, and of what was
//     written later anything may be, also zeros;
//   - what was created, renamed or removed in a directory before its last SyncDir
//     is as it was left, and of later changes each may have happened or not.
//
// [WriteFile] and [MkdirAll] keep to that: after a power cut a file has its old
// or its new content, whole. Package fsx/faultfs has a disk in memory that loses
// power at any chosen operation, for the tests of the stores.
//
// # Concurrency
//
// An FS is safe for concurrent use, a File is not. Two writers of one file must
// be kept apart by the caller, in WriteFile too: they share the temporary file.
package fsx
