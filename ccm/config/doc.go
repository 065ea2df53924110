// Package config is the configuration of a device: a tree of typed settings in the
// layers of Mongoose OS, which a vendor can lock, and which survives power cuts at
// any time.
//
//	s, err := config.Open(ctx, config.Options{Dir: "/var/lib/ccm", MAC: "A0B1C2A1B2C3"})
//	...
//	server := s.String("mqtt.server")
//	err = s.Update(config.Change{Config: []byte(`{"mqtt":{"enable":true}}`), ACL: "*"}, &config.SaveOptions{})
//
// # Keys
//
// A [Schema] has the keys, their types and their defaults. [CCM] has those of a Cloud
// Communication Module; embedders add their own with [Schema.With]. All keys are in
// the tree that [Store.AppendJSON] shows, none is null: the mos tool demands that.
//
// # Levels
//
// Level 0 is the defaults, the files conf1.json to conf8.json are the vendor's,
// conf9.json is the user's. Each changes what is below it. conf_vendor.json counts
// just below conf6.json, and a conf.json of old firmware becomes conf9.json. A file
// holds only what differs from the levels below it, and is replaced as a whole or
// not at all. Save(TryOnce) writes conf9.json.try instead, which the next Open uses
// and removes.
//
// A file that cannot be read or is not JSON counts as empty, and a value that does
// not fit or is not allowed is left out; [Store.Problems] tells. Open goes on.
//
// # The lock
//
// conf_acl lists what may be set: entries with commas between them, of which the first
// whose pattern matches the whole dotted key decides. A minus sign before an entry
// denies, and what no entry matches is denied. In a pattern ? is any character, * any
// run of them, not empty at the end, and | separates alternatives: "wifi.*" locks
// everything else. Each file is read under the list of the levels below it, and
// changes are judged by the live list as it was before them, always by the full path
// of each key, whether the request has a tree or a key. A change is made as a whole
// or not at all.
//
// # Placeholders
//
// Question marks in device.id, wifi.ap.ssid and a few others stand for digits of the
// hardware address; see [Expand]. Store.String replaces them. AppendJSON shows
// device.id with them replaced and the others as they are, as Mongoose OS does. Other
// than there, the replaced device.id is not written to conf9.json by the next save.
//
// # Secrets
//
// Passwords and tokens read as eight stars, and a Change that sets eight stars keeps
// them. With a root key ([RootKeyProvider]) they are encrypted in the files, each
// bound to its key and to device.id as it is at its level: a value that was moved, or
// altered, or whose key is lost reads as unset and stays in the file until it is set
// anew. A text that looks like an encrypted value with a byte damaged counts as one, and
// cannot be set as a password. If the hardware address changes, and device.id has placeholders, so do they.
// Values in clear are read, and encrypted when the file is saved the next time.
// When a vendor's level changes device.id, the files above it are written anew with it;
// power that fails between the two costs the secrets of those.
//
// Not protected are: old versions of a whole file, a running system against its
// root, and secrets whose root key is in a file on the same unencrypted disk. Without
// a root key secrets are in clear, in files of mode 0600; the log says so once, and
// [Status] always.
//
// # JSON
//
// Text from outside is bounded (MaxFile) and checked by jsonrpc.Valid, strictly and
// to a bounded depth, before anything looks into it, and then walked with package
// jsonrpc/mjson. gjson and sjson are not used: every member must be visited once, in
// order and with duplicates noticed, which a walk does and queries by path do not;
// and the paths would come from outside.
//
// # Concurrency
//
// A Store and a Schema are safe for concurrent use. Reading values takes no lock and
// never waits for the disk; changes wait for each other and for saves. Watchers are
// called as [Store.Watch] says. One Store may use a directory at a time.
//
// # Limits
//
//	text of a change, file       64 KiB
//	string                       4 KiB
//	key                          128 bytes, 16 parts
//	keys of a schema             4096
//	problems remembered          64
//
// A store costs a few KiB beyond the schema, which stores share: it has only what
// differs from the defaults.
//
// # Sources
//
// Mongoose OS, mgos_sys_config.c, mgos_config_util.c and rpc-service-config, as
// written down in spec/mos-rpc.md sections 5.2 and 6 and spec/security.md sections 2
// and 6; the CCM manual.
package config
