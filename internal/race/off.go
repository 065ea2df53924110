//go:build !race

// Package race tells whether the race detector is compiled in: allocation
// guards are meaningless under it, and heavy counts are reduced.
package race

// Enabled reports whether the program was built with -race.
const Enabled = false
