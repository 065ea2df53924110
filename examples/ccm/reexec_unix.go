//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// restart begins the program anew, in its place: the reboot of a daemon.
func (d *daemon) restart() error {
	self, err := os.Executable()
	if err == nil {
		d.log.Info("starting anew")
		err = syscall.Exec(self, os.Args, os.Environ())
	}
	return fmt.Errorf("start anew: %w", err)
}
