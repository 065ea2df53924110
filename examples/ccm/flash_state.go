package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/stm32boot"
)

// maxState is how large a file of --state may be: it can hold what is to be
// preserved.
const maxState = 16 << 20

// journal keeps what is known of the flash in a file, and remembers how far this
// flashing has come.
type journal struct {
	path string         // "" = no file
	step stm32boot.Step // the last one saved
}

// Load returns the record in the file.
func (j *journal) Load() ([]byte, error) {
	if j.path == "" {
		return nil, nil
	}
	record, err := fsx.ReadFile(fsx.OS(), j.path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return record, err
}

// Save replaces the record.
func (j *journal) Save(record []byte) error {
	s, err := stm32boot.ParseState(record)
	if err != nil {
		return err
	}
	if j.path != "" {
		if err := fsx.WriteFile(fsx.OS(), j.path, record, 0o600); err != nil {
			return err
		}
	}
	j.step = s.Step
	return nil
}

// check refuses a file that is something else, which would be lost.
func (j *journal) check() error {
	record, err := j.Load()
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	if _, err := stm32boot.ParseState(record); err != nil {
		return fmt.Errorf("--state: %s was not made by ccm flash, or is damaged: remove it, or give another", j.path)
	}
	return nil
}

// remains tells what an error has left in the flash, and how to go on.
func (j *journal) remains() string {
	switch j.step {
	case 0:
		return "the flash was not touched"
	case stm32boot.StepDone:
		return "the firmware is in the flash"
	}
	text := "the firmware is not complete; its first page is blank, so it does not start\n" +
		"  run the same command again"
	if j.path != "" {
		text += ", it goes on where it was"
	}
	return text
}
