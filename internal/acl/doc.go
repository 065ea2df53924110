// Package acl decides by the lists of patterns that Mongoose OS has for keys of
// the configuration (conf_acl), names of methods and names of users (rpc.acl).
//
// A list is entries with commas between them. The first entry whose pattern
// matches the whole name decides: it allows, unless it begins with a minus sign.
// If none matches, the name is denied, as it is by an empty list.
//
// In a pattern, letters match in either case (ASCII), and
//
//	?    stands for one byte
//	*    for a run of bytes other than a slash
//	**   for any run of bytes
//	|    separates alternatives
//	$    at the end means nothing, as the whole name must match anyway
//
// A run may be empty, but not one at the end of a pattern. Everything else is
// literal, blanks too. The decisions are those of the matcher of Mongoose OS
// (mgos_config_util.c with the patterns of mongoose 6.16), but for empty names,
// which nothing allows here.
//
// Time is at most proportional to the length of the pattern times that of the
// name, and nothing is allocated for names of up to 128 bytes.
package acl
