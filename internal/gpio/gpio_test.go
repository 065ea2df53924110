package gpio

import (
	"fmt"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Line // zero: refused
	}{
		{"gpiochip0/17", Line{"/dev/gpiochip0", "17"}},
		{"0/17", Line{"/dev/gpiochip0", "17"}},
		{"12/MCU_RESET", Line{"/dev/gpiochip12", "MCU_RESET"}},
		{"/dev/gpiochip4/3", Line{"/dev/gpiochip4", "3"}},
		{"/dev/gpio/by-name/soc/3", Line{"/dev/gpio/by-name/soc", "3"}},
		{"gpiochip0/spi/cs", Line{"/dev/gpiochip0", "spi/cs"}},
		{"", Line{}}, {"/", Line{}}, {"0", Line{}}, {"0/", Line{}}, {"/17", Line{}}, {"gpiochip0/", Line{}},
		{"soc/3", Line{}}, {"-1/3", Line{}}, {"/dev/gpiochip0/", Line{}},
	} {
		got, err := Parse(c.text)
		if got != c.want || (err == nil) != (c.want != Line{}) {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
}

func ExampleParse() {
	line, err := Parse("gpiochip0/17")
	fmt.Println(line, err)
	_, err = Parse("17")
	fmt.Println(err)
	// Output:
	// line 17 of /dev/gpiochip0 <nil>
	// want CHIP/LINE, such as gpiochip0/17, not "17"
}
