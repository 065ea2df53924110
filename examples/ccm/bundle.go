package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/spf13/cobra"
)

const bundleHelp = `Firmware bundles are the zip archives of mos create-fw-bundle: a manifest and the
parts of the firmware, with digests and maybe signatures.`

// bundleCommand is ccm bundle.
func (p *program) bundleCommand() *cobra.Command {
	return group("bundle", "Make, look into, verify and sign firmware bundles", bundleHelp,
		p.bundleCreateCommand(), p.bundleInspectCommand(), p.bundleVerifyCommand(), p.bundleSignCommand())
}

// group returns a command that does nothing but have others.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// maxFile is how large the files may be that are read: firmware, or a bundle.
const maxFile = 64 << 20

// readFile returns the content of a file of a sensible size.
func readFile(path string) ([]byte, error) {
	data, err := fsx.ReadFile(fsx.OS(), path, maxFile)
	if errors.Is(err, fsx.ErrTooLarge) {
		err = fmt.Errorf("%s: more than %d MiB cannot be firmware", path, maxFile>>20)
	}
	return data, err
}

// writeFile makes a file, or replaces one as a whole: a reader sees the old or
// the new content. What is no plain file, such as a pipe, is written to.
func writeFile(path string, data []byte, perm fs.FileMode) error {
	if info, err := os.Lstat(path); err == nil {
		if !info.Mode().IsRegular() {
			return os.WriteFile(path, data, perm)
		}
		perm = info.Mode().Perm()
	}
	// NAME.tmp may be a file of the user's.
	beside := filepath.Join(filepath.Dir(path), fmt.Sprintf(".ccm-%016x", rand.Uint64()))
	if err := fsx.WriteFileBy(fsx.OS(), beside, path, data, perm); err != nil {
		if p, is := errors.AsType[*fs.PathError](err); is {
			err = p.Err // its name is not the one that the user knows
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// notOver refuses to write a file in the place of one that was read, other than those
// that are meant to be replaced.
func notOver(flag, out string, read ...string) error {
	to, err := os.Stat(out)
	if err != nil {
		return nil
	}
	for _, path := range read {
		if from, err := os.Stat(path); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s %s: that is %s, which is read: give another name", flag, out, path)
		}
	}
	return nil
}

// canWrite refuses the path of a file that could not be written, before the work is
// done whose result it is for.
func canWrite(flag, path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s %s: it is a directory, give a file", flag, path)
	}
	switch info, err := os.Stat(filepath.Dir(path)); {
	case err != nil:
		return fmt.Errorf("%s %s: the directory is missing: %w", flag, path, err)
	case !info.IsDir():
		return fmt.Errorf("%s %s: %s is no directory", flag, path, filepath.Dir(path))
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil // a pipe or the like: nobody knows before
	}
	probe, err := os.CreateTemp(filepath.Dir(path), ".ccm-*") // files are replaced, not written to
	if err != nil {
		return fmt.Errorf("%s %s: no file can be made there: %w", flag, path, errors.Unwrap(err))
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// openBundle reads a bundle and verifies all that can be known without a device.
func openBundle(path string) (b *fwbundle.Bundle, data []byte, err error) {
	if data, err = readFile(path); err != nil {
		return nil, nil, err
	}
	b, err = fwbundle.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return b, data, err
}

// splitSlot reads [N=]FILE, as the flags for keys take it; without N it is the
// slot next.
func splitSlot(text string, next int) (slot int, path string, err error) {
	slot, path = next, text
	if number, rest, found := strings.Cut(text, "="); found {
		if n, err := strconv.ParseUint(number, 10, 8); err == nil {
			slot, path = int(n), rest
		}
	}
	switch {
	case slot >= fwbundle.Slots:
		return 0, "", fmt.Errorf("there are slots 0 to %d", fwbundle.Slots-1)
	case path == "":
		return 0, "", errors.New("the file is missing: [N=]FILE")
	}
	return slot, path, nil
}

// number is an address or a size on the command line: 0x and the like in front,
// K or M behind.
type number uint32

// Set reads a number.
func (n *number) Set(text string) error {
	digits, shift := strings.TrimSuffix(strings.ToUpper(text), "IB"), 0
	switch {
	case strings.HasSuffix(digits, "K"):
		digits, shift = digits[:len(digits)-1], 10
	case strings.HasSuffix(digits, "M"):
		digits, shift = digits[:len(digits)-1], 20
	}
	v, err := strconv.ParseUint(digits, 0, 32)
	if err != nil || v<<shift > 1<<32-1 {
		return errors.New("want a number up to 32 bits, such as 0x08000000 or 64K")
	}
	*n = number(v << shift)
	return nil
}

// String returns the number as it can be given again.
func (n *number) String() string {
	if *n == 0 {
		return ""
	}
	return fmt.Sprintf("%#x", uint32(*n))
}

// Type returns the name of the value in the help.
func (n *number) Type() string { return "number" }
