package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// readPassword reads a password from a file, without the end of its line. "-" is
// standard input; at a terminal it is asked for, and not shown. It gives up when the
// program is interrupted.
func readPassword(cmd *cobra.Command, file, prompt string) (string, error) {
	in := os.Stdin
	fd := int(in.Fd())
	if file == "-" && term.IsTerminal(fd) {
		return askPassword(cmd, fd, prompt)
	}
	text, err := whileWaiting(cmd.Context(), func() ([]byte, error) {
		if file == "-" {
			return readLimited(in, "standard input", maxPassword)
		}
		return readSmall(file, maxPassword)
	})
	return strings.TrimRight(string(text), "\r\n"), err
}

// askPassword asks for a password at a terminal.
func askPassword(cmd *cobra.Command, fd int, prompt string) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	cmd.PrintErr(prompt)
	text, err := whileWaiting(cmd.Context(), func() ([]byte, error) { return term.ReadPassword(fd) })
	if cmd.Context().Err() != nil {
		term.Restore(fd, before) // ReadPassword goes on
	}
	cmd.PrintErrln()
	return string(text), err
}

// whileWaiting returns what f returns, or errInterrupted when ctx ends. f goes on
// then, until the program ends.
func whileWaiting(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	type outcome struct {
		text []byte
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		text, err := f()
		done <- outcome{text, err}
	}()
	select {
	case o := <-done:
		return o.text, o.err
	case <-ctx.Done():
		return nil, errInterrupted
	}
}
