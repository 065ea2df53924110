package stm32boot

import "slices"

// The XOR at the end of a list does not notice a byte that was inserted by noise
// if it happens to equal the XOR itself: the numbers behind it then shift, the
// last one takes the place of the checksum, and other pages are erased. So lists
// are chosen such that no inserted byte makes the target erase a page that was
// not to be erased.

// maxExtra is how many pages are tried as the extra one.
const maxExtra = 16

// arrange returns the lists by which to erase pages, which are part of wanted: as
// they are, with one of them named twice, or, for one-byte numbers, cut in halves.
// Two-byte numbers can shift by half, for which there is no remedy on chips with more
// than 256 pages: then it is the list that is harmed in the fewest ways.
func (c *Client) arrange(pages, wanted []int) [][]int {
	set := map[int]bool{}
	for _, n := range wanted {
		set[n] = true
	}
	return c.arranged(pages, set)
}

func (c *Client) arranged(pages []int, wanted map[int]bool) [][]int {
	best, least := pages, c.harm(pages, wanted)
	if len(pages) < c.maxErase() {
		for _, extra := range c.smallest(pages) {
			if least == 0 {
				break
			}
			more := append(slices.Clip(pages), extra)
			if harm := c.harm(more, wanted); harm < least {
				best, least = more, harm
			}
		}
	}
	if least == 0 || len(pages) == 1 || c.eraseCommand() != CmdErase {
		return [][]int{best}
	}
	half := len(pages) / 2
	return append(c.arranged(pages[:half], wanted), c.arranged(pages[half:], wanted)...)
}

// smallest returns the pages that take the least time to erase twice.
func (c *Client) smallest(pages []int) []int {
	size := func(n int) int {
		p, _ := c.chip.PageAt(n)
		return int(p.Size)
	}
	pages = slices.Clone(pages)
	slices.SortStableFunc(pages, func(a, b int) int { return size(a) - size(b) })
	return pages[:min(len(pages), maxExtra)]
}

// harm counts the ways in which one inserted byte makes the target erase pages
// that exist and are not wanted.
func (c *Client) harm(pages []int, wanted map[int]bool) (ways int) {
	cmd := c.eraseCommand()
	list := appendPages(nil, cmd, pages)
	frame := append(list, xor(list))
	sum := frame[len(frame)-1]
	spoilt := make([]byte, len(frame)+1)
	for at := range frame {
		copy(spoilt, frame[:at])
		copy(spoilt[at+1:], frame[at:])
		if at >= countSize(cmd) { // the count is right: only one value fits
			spoilt[at] = sum
			ways += c.harmed(spoilt, wanted)
			continue
		}
		for b := range 256 {
			spoilt[at] = byte(b)
			ways += c.harmed(spoilt, wanted)
		}
	}
	return ways
}

// countSize returns how many bytes the count of a list has, and each number.
func countSize(cmd byte) int {
	if cmd == CmdErase {
		return 1
	}
	return 2
}

// harmed returns 1 if the target takes the frame and erases a page that exists
// and is not wanted, else 0.
func (c *Client) harmed(frame []byte, wanted map[int]bool) int {
	width := countSize(c.eraseCommand())
	number := func(i int) int {
		if width == 1 {
			return int(frame[i])
		}
		return int(frame[i])<<8 | int(frame[i+1])
	}
	end := width * (number(0) + 2)
	if end >= len(frame) || xor(frame[:end]) != frame[end] {
		return 0
	}
	total := c.chip.PageCount()
	for i := width; i < end; i += width {
		if n := number(i); n < total && !wanted[n] {
			return 1
		}
	}
	return 0
}
