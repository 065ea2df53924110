// Package config is the configuration of a device: a tree of typed settings in the
// layers of Mongoose OS, which a vendor can lock, and which survives power cuts at
// any time.
package config
