package fwbundle_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
)

// manifestCase is a manifest with the archive of goodArchive.
type manifestCase struct {
	name  string
	stage fwbundle.Stage // 0: accepted
	text  string
}

var goodPart = partText("host_fw", "FW.BIN", 0x08000000, goodFirmware, "")

// part returns a manifest of one part with the digest of the firmware and these
// members.
func part(members string) string {
	return string(manifestText(fmt.Sprintf(`"host_fw":{"cs_sha1":%q,%s}`, goodSHA1, members)))
}

var goodSHA1 = func() string {
	b, err := open(goodArchive().bytes())
	if err != nil {
		panic(err)
	}
	return b.Manifest().Parts[0].SHA1
}()

// swapped returns the good manifest with a piece of text replaced.
func swapped(old, new string) string {
	text := string(manifestText(goodPart))
	if !strings.Contains(text, old) {
		panic(old)
	}
	return strings.Replace(text, old, new, 1)
}

const (
	manifest  = fwbundle.StageManifest
	partStage = fwbundle.StagePart
	polic     = fwbundle.StagePolicy
)

var manifestCases = []manifestCase{
	{"good", 0, string(manifestText(goodPart))},
	{"white space", 0, " \r\n\t" + string(manifestText(goodPart)) + "\n"},
	{"unknown members", 0, swapped(`"name"`, `"x":[1,{"y":null}],"name"`)},
	{"unknown members of the part", 0, part(`"type":"STM32","src":"FW.BIN","addr":134217728,"x":{"y":1.5e3}`)},
	{"one digest, no size", 0, part(`"type":"STM32","src":"FW.BIN","addr":134217728`)},
	{"no type, host_fw", 0, part(`"src":"FW.BIN","addr":134217728`)},
	{"digest in capitals", 0, strings.Replace(part(`"src":"FW.BIN","addr":134217728`), goodSHA1, strings.ToUpper(goodSHA1), 1)},
	{"escaped names", 0, swapped(`"src"`, `"\u0073rc"`)},
	{"no name, no version", 0, `{"platform":"ccm_host","parts":{` + goodPart + `}}`},
	{"empty description", 0, swapped(`"name"`, `"description":"","name"`)},
	{"nested 32 deep", 0, swapped(`"name"`, `"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+`,"name"`)},
	{"fill part", 0, string(manifestText(goodPart + `,"pad":{"type":"STM32","fill":0,"size":300,"addr":134225920}`))},
	{"two parts share an entry", 0, string(manifestText(goodPart + "," + partText("copy", "FW.BIN", 0x08000800, goodFirmware, "")))},
	{"part that is not written", 0, string(manifestText(goodPart + "," + strings.Replace(partText("doc", "FW.BIN", 3, goodFirmware, `,"flash":false`), "STM32", "doc", 1)))},

	{"no JSON", manifest, "hello"},
	{"no object", manifest, "[]"},
	{"nothing", manifest, ""},
	{"byte order mark", manifest, "\ufeff" + string(manifestText(goodPart))},
	{"not UTF-8", manifest, swapped(`"fw"`, "\"f\xffw\"")},
	{"text behind it", manifest, string(manifestText(goodPart)) + "{}"},
	{"NUL behind it", manifest, string(manifestText(goodPart)) + "\x00"},
	{"comma at the end", manifest, swapped(`}}}`, `},}}`)},
	{"comment", manifest, "/**/" + string(manifestText(goodPart))},
	{"nested 33 deep", manifest, swapped(`"name"`, `"x":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)+`,"name"`)},
	{"member twice", manifest, swapped(`"name"`, `"version":"2.0","name"`)},
	{"member twice, one escaped", manifest, swapped(`"name"`, `"\u0076ersion":"2.0","name"`)},
	{"member of a part twice", manifest, swapped(`"src"`, `"addr":134217728,"src"`)},
	{"unknown member twice", manifest, swapped(`"name"`, `"x":{"y":[{"z":1,"z":1}]},"name"`)},
	{"part twice", manifest, string(manifestText(goodPart + "," + goodPart))},
	{"no parts", manifest, `{"platform":"ccm_host"}`},
	{"parts null", manifest, `{"platform":"ccm_host","parts":null}`},
	{"parts empty", manifest, `{"platform":"ccm_host","parts":{}}`},
	{"parts an array", manifest, `{"platform":"ccm_host","parts":[{}]}`},
	{"part no object", manifest, string(manifestText(`"host_fw":1`))},
	{"part empty", manifest, string(manifestText(`"host_fw":{}`))},
	{"name no string", manifest, swapped(`"fw"`, `1`)},
	{"version no string", manifest, swapped(`"1.0"`, `1.0`)},
	{"platform no string", manifest, swapped(`"ccm_host"`, `["ccm_host"]`)},
	{"type no string", manifest, part(`"type":32,"src":"FW.BIN","addr":134217728`)},
	{"src no string", manifest, part(`"type":"STM32","src":1,"addr":134217728`)},
	{"src empty", manifest, part(`"type":"STM32","src":"","addr":134217728`)},
	{"src missing", manifest, part(`"type":"STM32","addr":134217728`)},
	{"src not in the archive", manifest, part(`"type":"STM32","src":"FW2.BIN","addr":134217728`)},
	{"src in another case", manifest, part(`"type":"STM32","src":"fw.bin","addr":134217728`)},
	{"src with a directory", manifest, part(`"type":"STM32","src":"x/FW.BIN","addr":134217728`)},
	{"src the manifest", manifest, part(`"type":"STM32","src":"manifest.json","addr":134217728`)},
	{"src and fill", manifest, part(`"type":"STM32","src":"FW.BIN","fill":1,"size":1024,"addr":134217728`)},
	{"fill with a digest", manifest, part(`"type":"STM32","fill":1,"size":1024,"addr":134217728`)},
	{"fill without size", manifest, string(manifestText(`"host_fw":{"fill":1,"addr":134217728}`))},
	{"fill of size 0", manifest, string(manifestText(`"host_fw":{"fill":1,"size":0,"addr":134217728}`))},
	{"fill 256", manifest, string(manifestText(`"host_fw":{"fill":256,"size":4,"addr":134217728}`))},
	{"fill -1", manifest, string(manifestText(`"host_fw":{"fill":-1,"size":4,"addr":134217728}`))},
	{"flash no bool", manifest, part(`"flash":0,"src":"FW.BIN","addr":134217728`)},
	{"addr a string", manifest, part(`"src":"FW.BIN","addr":"0x8000000"`)},
	{"addr with a fraction", manifest, part(`"src":"FW.BIN","addr":134217728.0`)},
	{"addr with an exponent", manifest, part(`"src":"FW.BIN","addr":134217728e0`)},
	{"addr negative", manifest, part(`"src":"FW.BIN","addr":-134217728`)},
	{"addr minus 0", manifest, part(`"src":"FW.BIN","addr":-0`)},
	{"addr 2^32", manifest, part(`"src":"FW.BIN","addr":4294967296`)},
	{"addr wraps to the flash", manifest, part(`"src":"FW.BIN","addr":4429185024`)},
	{"addr of 30 digits", manifest, part(`"src":"FW.BIN","addr":134217728134217728134217728134`)},
	{"addr null", manifest, part(`"src":"FW.BIN","addr":null`)},
	{"part beyond the last address", manifest, part(`"src":"FW.BIN","size":1024,"addr":4294966784`)},
	{"size negative", manifest, part(`"src":"FW.BIN","size":-1024,"addr":134217728`)},
	{"size with a fraction", manifest, part(`"src":"FW.BIN","size":1024.0,"addr":134217728`)},
	{"size a string", manifest, part(`"src":"FW.BIN","size":"1024","addr":134217728`)},
	{"cs_sha1 of 39 digits", manifest, strings.Replace(part(`"src":"FW.BIN","addr":134217728`), goodSHA1, goodSHA1[1:], 1)},
	{"cs_sha1 of 42 digits", manifest, strings.Replace(part(`"src":"FW.BIN","addr":134217728`), goodSHA1, "00"+goodSHA1, 1)},
	{"cs_sha1 no digits", manifest, strings.Replace(part(`"src":"FW.BIN","addr":134217728`), goodSHA1, "xx"+goodSHA1[2:], 1)},
	{"cs_sha256 empty", manifest, part(`"src":"FW.BIN","addr":134217728,"cs_sha256":""`)},
	{"cs_sha256 null", manifest, part(`"src":"FW.BIN","addr":134217728,"cs_sha256":null`)},

	{"17 parts", limits, manyParts(17)},
	{"16 parts", 0, manyParts(16)},

	{"size too small", partStage, part(`"src":"FW.BIN","size":1023,"addr":134217728`)},
	{"size too large", partStage, part(`"src":"FW.BIN","size":1025,"addr":134217728`)},
	{"size 0", partStage, part(`"src":"FW.BIN","size":0,"addr":134217728`)},
	{"cs_sha1 wrong", partStage, strings.Replace(part(`"src":"FW.BIN","addr":134217728`), goodSHA1, strings.Repeat("0", 40), 1)},
	{"cs_sha256 wrong", partStage, part(`"src":"FW.BIN","addr":134217728,"cs_sha256":"` + strings.Repeat("0", 64) + `"`)},
	{"digest of a part that is not written", partStage, string(manifestText(goodPart +
		`,"doc":{"type":"doc","src":"FW.BIN","flash":false,"cs_sha1":"` + strings.Repeat("0", 40) + `"}`))},

	{"no platform", polic, swapped(`"platform":"ccm_host",`, ``)},
	{"platform empty", polic, swapped(`"ccm_host"`, `""`)},
	{"platform null", manifest, swapped(`"ccm_host"`, `null`)},
	{"platform in capitals", polic, swapped(`"ccm_host"`, `"CCM_HOST"`)},
	{"platform longer", polic, swapped(`"ccm_host"`, `"ccm_host2"`)},
	{"no type, another name", polic, strings.Replace(part(`"src":"FW.BIN","addr":134217728`), "host_fw", "boot", 1)},
	{"another type", polic, part(`"type":"ESP32","src":"FW.BIN","addr":134217728`)},
	{"type in another case", polic, part(`"type":"stm32","src":"FW.BIN","addr":134217728`)},
	{"no digest", polic, string(manifestText(`"host_fw":{"src":"FW.BIN","addr":134217728}`))},
	{"no addr", polic, part(`"src":"FW.BIN"`)},
	{"addr 0", polic, part(`"src":"FW.BIN","addr":0`)},
	{"addr odd", polic, part(`"src":"FW.BIN","addr":134217730`)},
	{"addr below the flash", polic, part(`"src":"FW.BIN","addr":134217724`)},
	{"in the RAM", polic, part(`"src":"FW.BIN","addr":536870912`)},
	{"in the system memory", polic, part(`"src":"FW.BIN","addr":536866816`)},
	{"behind the flash", polic, part(`"src":"FW.BIN","addr":134348800`)},
	{"last bytes behind the flash", polic, part(`"src":"FW.BIN","addr":134347780`)},
	{"last bytes of the flash", 0, part(`"src":"FW.BIN","addr":134347776`)},
	{"overlap", polic, string(manifestText(goodPart + "," + partText("copy", "FW.BIN", 0x080003fc, goodFirmware, "")))},
	{"overlap by padding", polic, string(manifestText(`"a":{"type":"STM32","fill":1,"size":5,"addr":134217728},"b":{"type":"STM32","fill":1,"size":4,"addr":134217732}`))},
	{"next to each other", 0, string(manifestText(`"a":{"type":"STM32","fill":1,"size":5,"addr":134217728},"b":{"type":"STM32","fill":1,"size":4,"addr":134217736}`))},
	{"fill longer than the flash", polic, string(manifestText(`"a":{"type":"STM32","fill":1,"size":4160749568,"addr":134217728}`))},
	{"fill of 4 GiB", manifest, string(manifestText(`"a":{"type":"STM32","fill":1,"size":4294967295,"addr":134217728}`))},
	{"nothing to write", polic, string(manifestText(strings.Replace(partText("doc", "FW.BIN", 0, goodFirmware, `,"flash":false`), "STM32", "doc", 1)))},
	{"sec_cnt negative", polic, swapped(`"name"`, `"sec_cnt":-1,"name"`)},
}

// manyParts returns a manifest of n fill parts.
func manyParts(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`"p%d":{"type":"STM32","fill":1,"size":4,"addr":%d}`, i, 0x08000000+4*i))
	}
	return string(manifestText(strings.Join(parts, ",")))
}

// TestManifest breaks each rule of the manifest once; Open and Stream agree.
func TestManifest(t *testing.T) {
	for _, c := range manifestCases {
		t.Run(c.name, func(t *testing.T) {
			z := goodArchive()
			z.entries[0].data = []byte(c.text)
			data := z.bytes()
			b, err := openAndCheck(data, fwbundle.Policy{})
			switch {
			case c.stage == 0:
				if err != nil {
					t.Fatal(err)
				}
			case err == nil:
				t.Fatal("accepted")
			case stageOf(t, err) != c.stage:
				t.Errorf("%v\nwant stage %v", err, c.stage)
			}
			checkAgreement(t, data, &fwbundle.Policy{}, b, err)
			if _, streamErr := stream(data, &fwbundle.Policy{}, 100); (err == nil) != (streamErr == nil) {
				t.Errorf("Open: %v, Stream: %v", err, streamErr)
			}
			if c.stage == limits || c.stage == manifest && !strings.Contains(err.Error(), "archive") {
				if _, parseErr := fwbundle.ParseManifest([]byte(c.text)); text(parseErr) != text(err) {
					t.Errorf("ParseManifest: %v, Open: %v", parseErr, err)
				}
			}
		})
	}
}

// TestManifestKeepsAll: all members are kept, in their order.
func TestManifestKeepsAll(t *testing.T) {
	text := []byte(`{"zeta":1,"parts":{"b":{"y":[1, 2],"fill":7,"size":4,"x":"\u0041"},"a":{"fill":0,"size":4}},` +
		`"build_timestamp":"2018-11-24T09:10:27Z","alpha":{"k":null},"build_id":"id","description":"d"}`)
	m, err := fwbundle.ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Text(), text) {
		t.Errorf("text %s", m.Text())
	}
	if got := fmt.Sprintf("%s", m.Attrs); got != `[{zeta 1} {alpha {"k":null}}]` {
		t.Errorf("attributes %s", got)
	}
	if len(m.Parts) != 2 || m.Parts[0].Name != "b" || m.Parts[1].Name != "a" {
		t.Fatalf("parts %v", m.Parts)
	}
	if got := fmt.Sprintf("%s", m.Parts[0].Attrs); got != `[{y [1, 2]} {x "\u0041"}]` || *m.Parts[0].Fill != 7 {
		t.Errorf("attributes of the part %s", got)
	}
	if tm, ok := m.Time(); !ok || tm.Unix() != 1543050627 || m.BuildID != "id" || m.Description != "d" {
		t.Errorf("%+v", m)
	}
	if m.Part("a") != &m.Parts[1] || m.Part("c") != nil {
		t.Error("Part finds the wrong one")
	}
	if v := fwbundle.Attribute(m.Attrs, "zeta"); string(v) != "1" || fwbundle.Attribute(m.Attrs, "beta") != nil {
		t.Errorf("Attribute %s", v)
	}
}
