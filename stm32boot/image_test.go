package stm32boot

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ccmkit/ccmkit/internal/race"
)

// model is an image byte by byte.
type model struct {
	data []byte
	has  []bool
}

const modelStart = 0x08000000

// randomContent returns segments and the same as a model.
func randomContent(rng *rand.Rand, size int, erased byte) (Image, model) {
	m := model{bytes.Repeat([]byte{erased}, size), make([]bool, size)}
	var image Image
	for pos := 4 * rng.IntN(20); ; {
		n := 1 + rng.IntN(80)
		if pos+n > size {
			break
		}
		s := Segment{Addr: modelStart + uint32(pos), Size: n, Fill: byte(rng.IntN(3)) - 1}
		if rng.IntN(2) == 0 {
			s.Data = make([]byte, n)
			for i := range s.Data {
				s.Data[i] = byte(rng.IntN(3)) - 1
			}
		}
		image = append(image, s)
		s.copyTo(m.data, modelStart)
		for i := range n {
			m.has[pos+i] = true
		}
		pos = (pos+n+3)&^3 + 4*rng.IntN(3)*rng.IntN(20)
	}
	if image == nil {
		image = Image{{Addr: modelStart, Data: []byte{7}}}
		m.data[0], m.has[0] = 7, true
	}
	rng.Shuffle(len(image), func(i, j int) { image[i], image[j] = image[j], image[i] })
	return image, m
}

// TestContent compares reading, runs and blocks with a model.
func TestContent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		erased := byte(-rng.IntN(2))
		size := 128 * (1 + rng.IntN(8))
		image, m := randomContent(rng, size, erased)
		c, err := newContent(image, erased)
		if err != nil {
			t.Fatal(err)
		}
		lo := rng.IntN(size)
		n := rng.IntN(size - lo)
		got := make([]byte, n)
		if c.read(got, modelStart+uint32(lo)); !bytes.Equal(got, m.data[lo:lo+n]) {
			t.Fatalf("%v: %d bytes at %d: % X", image, n, lo, got)
		}
		checkRuns(t, c, m, lo, n)
		align := 4 << rng.IntN(4)
		checkBlocks(t, c, m, lo&^(align-1), n&^(align-1), max(align, 16<<rng.IntN(5)), align)
	}
}

func checkRuns(t *testing.T, c content, m model, lo, n int) {
	t.Helper()
	has := make([]bool, n)
	last := -1
	for r := range c.runs(modelStart+uint32(lo), uint32(n)) {
		off := int(r.addr-modelStart) - lo
		if r.n <= 0 || off <= last {
			t.Fatalf("run %+v after %d", r, last)
		}
		for i := range r.n {
			has[off+i] = true
		}
		last = off + r.n
	}
	if !slices.Equal(has, m.has[lo:lo+n]) {
		t.Fatalf("%v: runs of %d at %d", c.segs, n, lo)
	}
}

// checkBlocks: the blocks are in order, not too long, in units of align, contain
// all that is not erased, and neither begin nor end with an erased unit.
func checkBlocks(t *testing.T, c content, m model, lo, n, size, align int) {
	t.Helper()
	programmed := bytes.Repeat([]byte{c.erased}, n)
	end := uint32(modelStart + lo)
	for b := range c.blocks(end, uint32(n), size, align) {
		off := int(b.addr-modelStart) - lo
		unit := func(i int) []byte { return m.data[lo+i:][:align] }
		switch {
		case b.n <= 0 || b.n%align != 0 || b.addr%uint32(align) != 0 || b.addr < end || off+b.n > n,
			b.n > size,
			allBytes(unit(off), c.erased), allBytes(unit(off+b.n-align), c.erased):
			t.Fatalf("%v: block %+v, lo %d n %d size %d align %d", c.segs, b, lo, n, size, align)
		}
		c.read(programmed[off:off+b.n], b.addr)
		end = b.addr + uint32(b.n)
	}
	if !bytes.Equal(programmed, m.data[lo:lo+n]) {
		t.Fatalf("%v: the blocks of %d at %d do not contain everything", c.segs, n, lo)
	}
}

// TestSum: how an image is cut into segments does not matter; anything else does.
func TestSum(t *testing.T) {
	data := []byte("abcdefghijklmnop")
	sum := func(image Image) [32]byte {
		c, err := newContent(image, 0xFF)
		if err != nil {
			t.Fatal(err)
		}
		return c.sum(modelStart, 1024)
	}
	one := sum(Image{{Addr: modelStart, Data: data}})
	if two := sum(Image{{Addr: modelStart + 8, Data: data[8:]}, {Addr: modelStart, Data: data[:8]}}); two != one {
		t.Error("cut in two it is another")
	}
	sums := map[[32]byte]string{one: "one"}
	for name, image := range map[string]Image{
		"other byte":  {{Addr: modelStart, Data: []byte("abcdefghijklmnoq")}},
		"shorter":     {{Addr: modelStart, Data: data[:15]}},
		"longer":      {{Addr: modelStart, Data: append(slices.Clip(data), 0xFF)}},
		"elsewhere":   {{Addr: modelStart + 4, Data: data}},
		"with a gap":  {{Addr: modelStart, Data: data[:8]}, {Addr: modelStart + 12, Data: data[8:]}},
		"filled":      {{Addr: modelStart, Size: 16, Fill: 'a'}},
		"filled more": {{Addr: modelStart, Size: 20, Fill: 'a'}},
	} {
		s := sum(image)
		if other, is := sums[s]; is {
			t.Errorf("%s is like %s", name, other)
		}
		sums[s] = name
	}
	if sum(Image{{Addr: modelStart, Size: 4, Fill: 'a'}}) != sum(Image{{Addr: modelStart, Data: []byte("aaaa")}}) {
		t.Error("a fill is not like its bytes")
	}
}

// TestContentRefusals covers what does not depend on a chip.
func TestContentRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		image Image
		want  error
	}{
		"none":           {nil, ErrEmpty},
		"no bytes":       {Image{{Addr: modelStart, Data: []byte{}}}, ErrEmpty},
		"no fill":        {Image{{Addr: modelStart}}, ErrEmpty},
		"negative fill":  {Image{{Addr: modelStart, Size: -4}}, ErrEmpty},
		"odd":            {Image{{Addr: modelStart + 1, Size: 4}}, ErrMisaligned},
		"inside":         {Image{{Addr: modelStart, Size: 9}, {Addr: modelStart + 4, Size: 1}}, ErrOverlap},
		"last byte":      {Image{{Addr: modelStart, Size: 9}, {Addr: modelStart + 8, Size: 1}}, ErrOverlap},
		"twice":          {Image{{Addr: modelStart, Size: 4}, {Addr: modelStart, Size: 4}}, ErrOverlap},
		"wraps":          {Image{{Addr: 0xFFFFFFF0, Size: 17}}, ErrOutside},
		"touching":       {Image{{Addr: modelStart, Size: 8}, {Addr: modelStart + 8, Size: 1}}, nil},
		"up to the end":  {Image{{Addr: 0xFFFFFFF0, Size: 16}}, nil},
		"a gap of three": {Image{{Addr: modelStart, Size: 9}, {Addr: modelStart + 12, Size: 1}}, nil},
	} {
		_, err := newContent(test.image, 0xFF)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if e, is := errors.AsType[*ImageError](err); test.want != nil && !is {
			t.Errorf("%s: %T %v", name, err, e)
		}
	}
}

// TestContentAllocs: nothing is made for a block.
func TestContentAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	image, _ := randomContent(rand.New(rand.NewPCG(5, 6)), 1024, 0xFF)
	c, err := newContent(image, 0xFF)
	if err != nil {
		t.Fatal(err)
	}
	var buf [MaxBlock]byte
	if n := testing.AllocsPerRun(100, func() {
		b := c.block(modelStart, 1024, 8, buf[:])
		c.read(buf[:b.n], b.addr)
		for range c.runs(modelStart, 1024) {
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSafe: commands that act by themselves are at the beginning of a block or
// cut in two, at any place and with any alignment.
func TestSafe(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	pairs := [][2]byte{{0x73, 0x8C}, {0x82, 0x7D}, {0x92, 0x6D}}
	for range 20000 {
		align := 4 << rng.IntN(4)
		data := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, 16)
		for range 1 + rng.IntN(4) {
			pair := pairs[rng.IntN(3)]
			copy(data[rng.IntN(255):], pair[:])
		}
		c := content{segs: []Segment{{Addr: modelStart, Data: data}}, erased: 0xFF}
		total := 0
		for b := range c.blocks(modelStart, 256, 256, align) {
			p := data[b.addr-modelStart:][:b.n]
			total += b.n
			p = append(slices.Clip(p), byte(b.n-1)^xor(p))
			for i := align; i < len(p); i++ {
				if b.n > align && slices.Contains(pairs, [2]byte{p[i-1], p[i]}) {
					t.Fatalf("align %d: %d bytes at %d: % X", align, b.n, i-1, p)
				}
			}
		}
		if total != 256 {
			t.Fatalf("%d bytes", total)
		}
	}
}
