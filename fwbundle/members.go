package fwbundle

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// scanner reads all JSON that jsonrpc.Valid takes.
func scanner() mjson.Scanner { return mjson.Scanner{MaxDepth: jsonrpc.MaxDepth} }

// members ranges over the members of an object, with decoded names, in the order
// of the text.
func members(text []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for name, value := range scanner().Children(text) {
			s, _ := name.Text()
			if !yield(s, value.Raw) {
				return
			}
		}
	}
}

// typeOf returns the type of a value, white space before it allowed.
func typeOf(text []byte) mjson.Type {
	return mjson.Value{Raw: bytes.TrimLeft(text, " \t\r\n")}.Type()
}

// depthOf returns how many containers are open at once, at most.
func depthOf(text []byte) (deepest int) {
	depth := 0
	scanner().Scan(text, func(ev mjson.Type, _, _ int) bool {
		switch ev {
		case mjson.Object, mjson.Array:
			depth++
			deepest = max(deepest, depth)
		case mjson.ObjectEnd, mjson.ArrayEnd:
			depth--
		}
		return true
	})
	return deepest
}

// checkDuplicates refuses objects that have two members of the same decoded name,
// at any depth.
func checkDuplicates(text []byte) error {
	var names []string
	for name, value := range scanner().Children(text) {
		if name.Raw != nil {
			s, _ := name.Text()
			names = append(names, s)
		}
		if t := value.Type(); t == mjson.Object || t == mjson.Array {
			if err := checkDuplicates(value.Raw); err != nil {
				return err
			}
		}
	}
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return fmt.Errorf("member %.80q is there twice", names[i])
		}
	}
	return nil
}

// memberError adds the name of a member to an error.
func memberError(name string, err error) error { return fmt.Errorf("%.80q: %w", name, err) }

var (
	errNotObject  = errors.New("not an object")
	errNotString  = errors.New("not a string")
	errNotBool    = errors.New("neither true nor false")
	errNotInteger = errors.New("not a plain integer in range")
)

func setString(to *string, value []byte) error {
	s, is := mjson.Value{Raw: value}.Text()
	if !is {
		return errNotString
	}
	*to = s
	return nil
}

func setBool(to *bool, value []byte) (err error) {
	b, is := mjson.Value{Raw: value}.Bool()
	if !is {
		return errNotBool
	}
	*to = b
	return nil
}

// setUint takes a number that is written in digits alone and fits.
func setUint[T byte | uint32](to *T, value []byte) error {
	n, err := strconv.ParseUint(string(value), 10, 32)
	if err != nil || uint64(T(n)) != n {
		return errNotInteger
	}
	*to = T(n)
	return nil
}

// setHex takes a string of n hexadecimal digits.
func setHex(to *string, value []byte, n int) error {
	b, is := mjson.Value{Raw: value}.AppendHex(nil)
	if !is || len(b) != n/2 {
		return fmt.Errorf("not %d hexadecimal digits", n)
	}
	return setString(to, value)
}
