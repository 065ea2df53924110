//go:build !unix

package main

import (
	"fmt"
	"os"
	"os/exec"
)

// restart begins the program anew: the reboot of a daemon.
func (d *daemon) restart() error {
	self, err := os.Executable()
	if err == nil {
		d.log.Info("starting anew")
		next := exec.Command(self, os.Args[1:]...)
		next.Stdin, next.Stdout, next.Stderr = os.Stdin, os.Stdout, os.Stderr
		err = next.Run()
	}
	if err != nil {
		return fmt.Errorf("start anew: %w", err)
	}
	return nil
}
