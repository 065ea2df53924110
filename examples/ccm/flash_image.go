package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/stm32boot"
)

// firmware is what is to be in the flash.
type firmware struct {
	kind  string // "plain", "HEX", "ELF" or "bundle"
	image stm32boot.Image
}

// loadFirmware reads a file: a bundle, which must be good under a policy, or an
// image. Its kind is known by its content, but must not contradict its name. Plain
// bytes are for the address base.
func loadFirmware(path string, base uint32, policy fwbundle.Policy) (firmware, error) {
	data, err := readFile(path)
	if err != nil {
		return firmware{}, err
	}
	f, image, err := parseFirmware(path, data, base, policy)
	if err != nil {
		return firmware{}, fmt.Errorf("%s: %w", path, err)
	}
	for _, s := range image {
		f.image = append(f.image, stm32boot.Segment(s))
	}
	return f, nil
}

// parseFirmware reads the content of a file.
func parseFirmware(path string, data []byte, base uint32, policy fwbundle.Policy) (f firmware, image fwbundle.Image, err error) {
	extension := strings.ToLower(filepath.Ext(path))
	switch {
	case len(data) == 0:
		err = errors.New("the file is empty")
	case extension == ".zip" || bytes.HasPrefix(data, []byte("PK\x03\x04")):
		f.kind = "bundle"
		image, err = bundleImage(data, policy)
	case extension == ".hex" || extension == ".ihex":
		f.kind = "HEX"
		image, err = fwbundle.ParseHEX(data)
	case extension == ".elf" || extension == ".axf" || bytes.HasPrefix(data, []byte("\x7fELF")):
		f.kind = "ELF"
		image, err = fwbundle.ParseELF(data)
	case extension == ".s19" || extension == ".srec" || extension == ".uf2" || extension == ".dfu":
		err = fmt.Errorf("%s files cannot be read: give an ELF file, Intel HEX or plain bytes", extension)
	default:
		f.kind = "plain"
		if data[0] == ':' {
			f.kind = "HEX"
		}
		image, err = fwbundle.ParseImage(data, base)
	}
	return f, image, err
}

// bundleImage returns what a bundle has for the host, which ends where its parts
// end: what the flash needs behind that is for the chip to say.
func bundleImage(data []byte, policy fwbundle.Policy) (fwbundle.Image, error) {
	b, err := fwbundle.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if err := b.Check(policy); err != nil {
		return nil, err
	}
	policy.WriteAlign = 1
	return b.Image(policy)
}

// anywhere is a policy without limits of the flash: they are those of the chip,
// which is not known yet.
func anywhere(p fwbundle.Policy) fwbundle.Policy {
	p.FlashBase, p.FlashSize = 4, 1<<32-8
	return p
}

// move moves plain bytes to another address.
func (f *firmware) move(addr uint32) {
	if f.kind == "plain" {
		f.image[0].Addr = addr
	}
}

// size returns how many bytes the image has.
func (f *firmware) size() (n int) {
	for _, s := range f.image {
		n += s.Len()
	}
	return n
}

// chipChoice is what the user says of the chip. The zero value is nothing.
type chipChoice struct {
	id       uint16          // the chip must have it; 0 = any
	geometry *stm32boot.Chip // in the place of the table
}

// parseChip reads a product id, or size=N,page=N and so on.
func parseChip(text string) (chipChoice, error) {
	if text == "" {
		return chipChoice{}, nil
	}
	if !strings.Contains(text, "=") {
		id, err := parseID(text)
		if err != nil {
			err = fmt.Errorf("%w, nor a geometry such as size=64K,page=1K", err)
		}
		return chipChoice{id: id}, err
	}
	values := map[string]number{"start": 0x08000000, "align": 8, "erased": 0xFF, "size": 0, "page": 0, "id": 0}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(pair, "=")
		var n number
		if _, known := values[key]; !known {
			return chipChoice{}, fmt.Errorf("unknown property %q (known: size, page, start, align, erased, id)", key)
		}
		if err := n.Set(value); err != nil {
			return chipChoice{}, fmt.Errorf("%s: %w", key, err)
		}
		values[key] = n
	}
	size, page, align := values["size"], values["page"], values["align"]
	switch {
	case size == 0 || page == 0 || size%page != 0:
		return chipChoice{}, errors.New("size and page must be there, and size a multiple of page")
	case size/page > 1<<16:
		return chipChoice{}, errors.New("more than 65536 pages")
	case align&(align-1) != 0 || align < 2 || align > 256 || page%align != 0:
		return chipChoice{}, errors.New("align must be 2, 4, 8, 16 ... 256, and page a multiple of it")
	case values["erased"] != 0xFF && values["erased"] != 0:
		return chipChoice{}, errors.New("erased must be 0xff or 0")
	case uint64(values["start"])+uint64(size) > 1<<32:
		return chipChoice{}, errors.New("the flash ends behind the last address")
	case values["id"] > 0xFFF:
		return chipChoice{}, errors.New("id must have 12 bits")
	}
	return chipChoice{geometry: &stm32boot.Chip{
		ID: uint16(values["id"]), Family: "?", Name: "as given by --chip",
		FlashStart: uint32(values["start"]), FlashSize: uint32(size), Erased: byte(values["erased"]),
		Layout: []stm32boot.Pages{{Count: int(size / page), Size: uint32(page), Bank: 1}}, WriteAlign: int(align),
	}}, nil
}

// limit returns a policy that knows of the flash what is known of it.
func (c chipChoice) limit(p fwbundle.Policy) fwbundle.Policy {
	chip, known := stm32boot.Lookup(c.id)
	if c.geometry != nil {
		chip, known = *c.geometry, true
	}
	if !known || chip.FlashSize == 0 {
		return anywhere(p)
	}
	p.FlashBase, p.FlashSize = chip.FlashStart, chip.FlashSize
	return p
}
