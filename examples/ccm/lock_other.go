//go:build !unix

package main

// lockState takes the state directory for this process, where systems have a way to.
func lockState(string) (unlock func(), err error) { return func() {}, nil }
