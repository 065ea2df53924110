// Package files is the file store of a module, the one that FS.List, FS.Get and
// FS.Put of the mos tool work on: certificates, keys and what else is to lie
// beside the configuration.
//
//	d, err := files.Open(files.Options{Dir: "/var/lib/ccm/files"})
//	err = d.Put("/ca.pem", data, files.PutMode{})
//	data, err := d.Read("ca.pem")
//
// A [Dir] is one flat directory. A name has 1 to 64 of the characters A-Z, a-z,
// 0-9, '.', '_' and '-', and is not "." or ".."; the "/" that mos users write in
// front is dropped. There are at most [MaxFiles] files of at most [MaxFile] bytes
// each and [MaxTotal] bytes together. All else that lies in the directory, a
// directory, a symbolic link or a file with another name, is not there for this
// package: it is neither listed nor read nor counted.
//
// # Durable
//
// When Put, Remove or Rename has returned nil, the change survives a loss of
// power. When it has not, or has returned an error of the disk, a file has its old
// content or its new one, whole. To that end Put writes the whole file anew, also
// for a chunk of it: a file of n bytes that comes in chunks of c is written n/c
// times, n/2 bytes each on average.
//
// # Chunks
//
// The mos tool puts a file in chunks of 512 bytes: the first with offset 0, the
// others with append and their offset (mos-rpc.md section 5.3). A chunk whose reply
// was lost is sent again, with the same offset, and lands where it was: see
// [PutMode].
//
// # Private keys
//
// A private key can be put, renamed and removed but must not be handed out by
// FS.Get; [IsPrivateKey] is how the service tells (rulings D3). So that it can rely
// on what is in the file now, Put does not write over a part of a private key, its
// first line say, in such a way that the file is no longer known as one: that is
// [ErrPrivateKey]. Replacing the whole file is allowed.
//
// A service must check and hand out the same bytes: [Dir.Read] the file once,
// ask IsPrivateKey, then cut with [Range].
//
// # Concurrency
//
// A Dir is safe for concurrent use. There must be one Dir for a directory; other
// programs may put files there, whole, while no Put is on its way.
package files
