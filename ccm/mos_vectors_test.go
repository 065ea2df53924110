package ccm_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/coder/websocket"
)

// mosRun is a recorded run of the mos tool.
type mosRun struct {
	name  string
	cmd   string
	rows  []mosRow
	reply map[string]string // of the recorded device, by id
}

type mosRow struct {
	Cmd, Ch, Dir, Raw, Topic string
}

// TestVectorsMos replays what the mos tool has sent, over the door on which it was
// recorded, and demands of each answer what the tool reads in it (spec/mos-rpc.md).
// In the end the configuration and the files are what the command asked for.
func TestVectorsMos(t *testing.T) {
	for _, file := range vectors.Files(t, "mos/*.jsonl") {
		run := readRun(t, file)
		if strings.Contains(run.name, "ota") {
			continue // those of a later part
		}
		t.Run(run.name, func(t *testing.T) {
			n := run.replay(t)
			t.Logf("%s: %d of %d rows", filepath.Base(file), n, len(run.rows))
			if n != len(run.rows) {
				t.Errorf("%s: ran %d of %d rows", file, n, len(run.rows))
			}
		})
	}
}

// readRun reads a transcript.
func readRun(t *testing.T, file string) *mosRun {
	run := &mosRun{name: strings.TrimSuffix(filepath.Base(file), ".jsonl"), reply: map[string]string{}}
	for i, line := range vectors.Lines(t, file) {
		var row mosRow
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
		if i == 0 {
			run.cmd = row.Cmd
			continue
		}
		run.rows = append(run.rows, row)
		if id := mjson.Find([]byte(frameIn(row.Raw)), "$.id"); row.Dir == "dev>mos" && id.Exists() {
			run.reply[strings.Trim(id.String(), `"`)] = frameIn(row.Raw)
		}
	}
	if len(run.rows) == 0 {
		t.Fatalf("%s: no rows", file)
	}
	return run
}

var braces = regexp.MustCompile(`(?s)\{.*\}`)

// frameIn returns the frame in a text, or "".
func frameIn(text string) string { return braces.FindString(text) }

// password returns that of the command line, and whether the device asked for one.
func (run *mosRun) password() (typed string, asked bool) {
	if _, rest, is := strings.Cut(run.cmd, "--rpc-creds admin:"); is {
		typed, _, _ = strings.Cut(rest, " ")
	}
	return typed, strings.Contains(run.name, "auth")
}

// replay replays the run, and returns how many rows it has looked at.
func (run *mosRun) replay(t *testing.T) int {
	typed, asked := run.password()
	o := managedConfig{module: func(c *ccm.Config) { c.Management.AllowLevels = strings.Contains(run.name, "level5") }}
	if asked {
		o.password = "secret"
	}
	var b *ccmtest.Broker
	if strings.HasPrefix(run.name, "mqtt") {
		b = newBroker(t, ccmtest.BrokerOptions{})
		also := o.module
		o.module = func(c *ccm.Config) {
			also(c)
			c.Cloud = via(b)
		}
	}
	m := newManaged(t, o)
	run.files(t, m)
	way := run.way(t, m, b)
	j := &judge{t: t, m: m, run: run, password: typed}
	for _, row := range run.rows {
		if row.Dir == "mos>dev" {
			way(row, j)
		}
	}
	j.end()
	return len(run.rows)
}

// files puts the files in place that the recorded device had.
func (run *mosRun) files(t *testing.T, m *managed) {
	big := make([]byte, 1200)
	for _, row := range run.rows {
		frame := []byte(frameIn(row.Raw))
		if row.Dir != "mos>dev" || textAt(frame, "$.method") != "FS.Get" {
			continue
		}
		answer := []byte(run.reply[mjson.Find(frame, "$.id").String()])
		data, err := base64.StdEncoding.DecodeString(textAt(answer, "$.result.data"))
		if err != nil {
			t.Fatal(err)
		}
		copy(big[mjson.GetInt(frame, "$.params.offset", 0):], data)
	}
	for name, data := range map[string][]byte{"big.bin": big, "ca.pem": make([]byte, 28), "conf9.json": []byte("{}\n")} {
		if err := m.files.Put(name, data, files.PutMode{}); err != nil {
			t.Fatal(err)
		}
	}
}

// way returns how a row gets to the module, by the door on which it was recorded.
func (run *mosRun) way(t *testing.T, m *managed, b *ccmtest.Broker) func(row mosRow, j *judge) {
	kind, _, _ := strings.Cut(run.name, "-")
	switch kind {
	case "ws":
		c := dialSocket(t, m.web)
		t.Cleanup(func() { c.Close(websocket.StatusNormalClosure, "") })
		return func(row mosRow, j *judge) {
			if row.Ch == "ws" { // the bytes of the handshake are what dialSocket sends
				j.see(row.Raw, func(frame string) string { return overSocket(t, c, frame) })
			}
		}
	case "http":
		return func(row mosRow, j *judge) {
			if !strings.Contains(row.Raw, "\r\nAuthorization:") { // the login is j's
				j.see(row.Raw[strings.Index(row.Raw, "\r\n\r\n")+4:], func(frame string) string { return overHTTP(t, m.web, j.password, frame) })
			}
		}
	case "tcp":
		c := dialNet(t, "tcp", m.tcp)
		return func(row mosRow, j *judge) {
			j.see(frameIn(row.Raw), func(string) string { return quotedReply(t, c, row.Raw) })
		}
	case "udp":
		c := dialNet(t, "udp", m.udp)
		return func(row mosRow, j *judge) {
			j.see(row.Raw, func(frame string) string { return datagramReply(t, c, frame) })
		}
	case "serial":
		return newMosLine(t, m.serial).take
	case "mqtt":
		m.online()
		return func(row mosRow, j *judge) {
			j.see(row.Raw, func(frame string) string { return overBroker(t, b, row.Topic, frame) })
		}
	}
	t.Fatalf("no door for %q", run.name)
	return nil
}

// dialNet connects to a door.
func dialNet(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// overHTTP posts a frame as mos does, and logs in if that is asked for.
func overHTTP(t *testing.T, address, password, frame string) string {
	t.Helper()
	post := func(authorization string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/rpc", strings.NewReader(frame))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		a, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a, string(body)
	}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	a, body := post("")
	if a.StatusCode == http.StatusUnauthorized {
		if body != "" {
			t.Errorf("the challenge has a body: %q", body)
		}
		authorization, err := access.AnswerHTTP(a.Header.Get("WWW-Authenticate"), "admin", password, http.MethodPost, "/rpc")
		if err != nil {
			t.Fatal(err)
		}
		a, body = post(authorization)
	}
	if a.StatusCode != http.StatusOK || !strings.HasSuffix(body, "}\r\n") {
		t.Errorf("status %d, %q", a.StatusCode, body)
	}
	return body
}

// quotedReply sends recorded bytes, and returns the next frame between quotes.
func quotedReply(t *testing.T, c net.Conn, raw string) string {
	t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for buf := make([]byte, 4096); ; {
		n, err := c.Read(buf)
		if got = append(got, buf[:n]...); bytes.HasSuffix(got, []byte("}\"\"\"\n")) {
			if !bytes.HasPrefix(got, []byte("\n\"\"\"{")) {
				t.Errorf("mos does not see a frame in %q", got)
			}
			return frameIn(string(got))
		}
		if err != nil {
			t.Fatalf("%q: %v", got, err)
		}
	}
}

// datagramReply sends a datagram, and returns the next one.
func datagramReply(t *testing.T, c net.Conn, frame string) string {
	t.Helper()
	if _, err := io.WriteString(c, frame); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// overBroker publishes a frame, and returns the answer.
func overBroker(t *testing.T, b *ccmtest.Broker, topic, frame string) string {
	t.Helper()
	to := textAt([]byte(frame), "$.src") + "/rpc"
	before := len(b.Messages(to))
	publish(t, b, topic, frame)
	eventually(t, "the answer on "+to, func() bool { return len(b.Messages(to)) > before })
	return string(b.Messages(to)[before].Payload)
}

// mosLine is the serial line, with mos at the other end.
type mosLine struct {
	t    *testing.T
	port net.Conn
	got  chan []byte
	seen string // what has come and was not looked at
	part string // what mos has sent of a frame
}

// newMosLine reads a line.
func newMosLine(t *testing.T, port net.Conn) *mosLine {
	l := &mosLine{t: t, port: port, got: make(chan []byte, 1000)}
	go func() {
		defer close(l.got)
		for {
			buf := make([]byte, 4096)
			n, err := port.Read(buf)
			if err != nil {
				return
			}
			l.got <- buf[:n]
		}
	}()
	return l
}

// take sends what mos has sent. A handshake must be answered, and a frame.
func (l *mosLine) take(row mosRow, j *judge) {
	l.port.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(l.port, row.Raw); err != nil {
		l.t.Fatal(err)
	}
	const eof = "\"\"\"\x04\"\"\""
	if strings.HasPrefix(row.Raw, eof) {
		l.await(eof)
		l.part = ""
		return
	}
	if l.part += row.Raw; !strings.HasSuffix(l.part, "\"\"\"\n") {
		return
	}
	frame := frameIn(l.part)
	l.part = ""
	j.see(frame, func(string) string {
		text := l.await("\"\"\"\n")
		if !mosFrame.MatchString(text) {
			l.t.Errorf("mos does not see a frame in %q", text)
		}
		return frameIn(text)
	})
}

// mosFrame is a frame as mos takes it: a delimiter right before it, and a CRC.
var mosFrame = regexp.MustCompile(`\n"""\{.*\}[0-9a-f]{8}"""\n$`)

// await returns what has come when it has a text in it.
func (l *mosLine) await(text string) string {
	l.t.Helper()
	for !strings.Contains(l.seen, text) {
		select {
		case more, open := <-l.got:
			if !open {
				l.t.Fatalf("the line has ended after %q", l.seen)
			}
			l.seen += string(more)
		case <-time.After(10 * time.Second):
			l.t.Fatalf("waited in vain for %q after %q", text, l.seen)
		}
	}
	end := strings.Index(l.seen, text) + len(text)
	seen := l.seen[:end]
	l.seen = l.seen[end:]
	return seen
}

// judge looks at what the module answers, as mos does.
type judge struct {
	t        *testing.T
	m        *managed
	run      *mosRun
	password string

	tree      []byte // of Config.Get
	challenge string
	saved     []string // trees that were to be saved
	level     int      // where
	tryOnce   bool
	reboots   int32 // that were asked for
}

// see sends a frame and looks at the reply.
func (j *judge) see(frame string, send func(frame string) string) {
	j.t.Helper()
	if before, _, is := strings.Cut(frame, `,"auth":`); is { // with a nonce of ours
		auth, err := access.AnswerFrame(j.challenge, "admin", j.password)
		if err != nil {
			j.t.Fatalf("the challenge %q: %v", j.challenge, err)
		}
		frame = before + `,"auth":` + string(auth) + "}\n"
	}
	reply := send(frame)
	id := mjson.Find([]byte(frame), "$.id").String()
	if id == "" {
		return // mos does not want to hear of a notification
	}
	if got := mjson.Find([]byte(reply), "$.id").String(); got != id || !json.Valid([]byte(reply)) {
		j.t.Errorf("%s\nanswered %s", frame, reply)
	}
	method := textAt([]byte(frame), "$.method")
	if typed, asked := j.run.password(); asked && (j.challenge == "" || typed != "secret") && j.run.name != "http-auth" {
		if errorCode(reply) != 401 {
			j.t.Errorf("a login is not asked for: %s", reply)
		}
		j.challenge = textAt([]byte(reply), "$.error.message")
		return
	}
	if err := j.good(method, []byte(frame), []byte(reply)); err != nil {
		j.t.Errorf("%s\nanswered %s\n%v", frame, reply, err)
	}
}

// good reports why mos would not be content with a reply.
func (j *judge) good(method string, frame, reply []byte) error {
	id := mjson.Find(frame, "$.id").String()
	recorded := []byte(j.run.reply[id])
	result, was := mjson.Find(reply, "$.result"), mjson.Find(recorded, "$.result")
	if code := errorCode(string(recorded)); code != 0 {
		return same(mjson.Find(reply, "$.error"), mjson.Find(recorded, "$.error"))
	}
	if !result.Exists() {
		return fmt.Errorf("there is no result")
	}
	switch method {
	case "RPC.List":
		return contains(result, "Sys.GetInfo", "Config.Get", "Config.Set", "Config.Save", "FS.List", "RPC.List", "Sys.Reboot")
	case "RPC.Ping":
		return types(result, map[string]mjson.Type{"$.channel_info": mjson.String})
	case "Sys.GetInfo":
		return types(result, map[string]mjson.Type{"$.arch": mjson.String, "$.mac": mjson.String, "$.app": mjson.String, "$.id": mjson.String})
	case "Config.Get":
		if mjson.Find(frame, "$.params.key").Exists() || mjson.Find(frame, "$.args").Exists() {
			return sameType(result, was)
		}
		j.tree = bytes.Clone(result.Raw)
		return nil
	case "Config.Set", "Config.Save":
		return j.set(method, frame, result)
	case "FS.List", "FS.ListExt", "FS.Get":
		return same(result, was)
	case "FS.Put", "FS.Remove":
		if result.String() != "null" {
			return fmt.Errorf("the result is not null")
		}
		return nil
	case "Sys.Reboot":
		j.reboots++
		return nil
	}
	return fmt.Errorf("nobody has said what %s should answer", method)
}

// set looks at the answer to Config.Set and Config.Save.
func (j *judge) set(method string, frame []byte, result mjson.Value) error {
	save := mjson.GetBool(frame, "$.params.save", method == "Config.Save")
	if got, is := mjson.Find(result.Raw, "$.saved").Bool(); !is || got != save {
		return fmt.Errorf("saved should be %v", save)
	}
	j.level = int(mjson.GetInt(frame, "$.params.level", 9))
	j.tryOnce = mjson.GetBool(frame, "$.params.try_once", false)
	if save && mjson.GetBool(frame, "$.params.reboot", false) {
		j.reboots++
	}
	tree := mjson.Find(frame, "$.params.config")
	if !tree.Exists() {
		return nil
	}
	if save {
		j.saved = append(j.saved, string(tree.Raw))
	}
	return fits(tree, mjson.Find(j.tree, "$"), "")
}

// end looks at what is left when mos has gone.
func (j *judge) end() {
	t, m := j.t, j.m
	t.Helper()
	if j.reboots > 0 {
		eventually(t, "the reboot", func() bool { return m.reboots.Load() > 0 })
	} else if n := m.reboots.Load(); n != 0 {
		t.Errorf("rebooted %d times", n)
	}
	name := fmt.Sprintf("conf%d.json", j.level)
	if j.tryOnce {
		name += ".try"
	}
	for _, tree := range j.saved {
		file, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if err := inside(mjson.Find([]byte(tree), "$"), mjson.Find(file, "$"), m.defaults(t), ""); err != nil {
			t.Errorf("%s: %v\n%s", name, err, file)
		}
	}
	j.putFiles()
}

// putFiles looks whether the files are there that were put.
func (j *judge) putFiles() {
	want := map[string][]byte{}
	for _, row := range j.run.rows {
		frame := []byte(frameIn(row.Raw))
		if row.Dir != "mos>dev" || textAt(frame, "$.method") != "FS.Put" {
			continue
		}
		data, err := base64.StdEncoding.DecodeString(textAt(frame, "$.params.data"))
		if err != nil {
			j.t.Fatal(err)
		}
		name := textAt(frame, "$.params.filename")
		if !mjson.GetBool(frame, "$.params.append", false) {
			want[name] = nil
		}
		want[name] = append(want[name], data...)
	}
	for name, data := range want {
		if got, err := j.m.files.Read(name); err != nil || !bytes.Equal(got, data) {
			j.t.Errorf("%s has %d bytes of %d, %v", name, len(got), len(data), err)
		}
	}
}

// defaults returns the tree of the defaults.
func (m *managed) defaults(t *testing.T) mjson.Value {
	reply := m.ask(t, &access.Origin{Role: access.Host, Channel: access.UART}, `{"id":1,"src":"t","method":"Config.Get","params":{"level":0}}`)
	return mjson.Find([]byte(reply), "$.result")
}

// The following report why a value is not what it should be.

func same(got, want mjson.Value) error {
	var a, b any
	if json.Unmarshal(got.Raw, &a) != nil || json.Unmarshal(want.Raw, &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
		return fmt.Errorf("want %s", want)
	}
	return nil
}

func sameType(got, want mjson.Value) error {
	if got.Type() != want.Type() {
		return fmt.Errorf("want something like %s", want)
	}
	return nil
}

func contains(list mjson.Value, names ...string) error {
	for _, name := range names {
		if !strings.Contains(list.String(), `"`+name+`"`) {
			return fmt.Errorf("%s is missing", name)
		}
	}
	return nil
}

func types(object mjson.Value, members map[string]mjson.Type) error {
	for path, want := range members {
		if got := mjson.Find(object.Raw, path).Type(); got != want {
			return fmt.Errorf("%s is not of the right type", path)
		}
	}
	return nil
}

// fits reports a leaf of a change that the tree does not have, or with another type:
// mos would have refused it.
func fits(change, tree mjson.Value, path string) error {
	if change.Type() != mjson.Object {
		simple := func(t mjson.Type) mjson.Type {
			if t == mjson.False {
				return mjson.True
			}
			return t
		}
		if !tree.Exists() || simple(change.Type()) != simple(tree.Type()) {
			return fmt.Errorf("%s is %s in the tree", path, tree)
		}
		return nil
	}
	for name, v := range mjson.Children(change.Raw) {
		key, _ := name.Text()
		if err := fits(v, mjson.Find(tree.Raw, "$."+key), path+"."+key); err != nil {
			return err
		}
	}
	return nil
}

// inside reports a leaf of a change that the file does not have, unless it is the
// default.
func inside(change, file, defaults mjson.Value, path string) error {
	if change.Type() != mjson.Object {
		if !file.Exists() {
			file = defaults
		}
		return same(file, change)
	}
	for name, v := range mjson.Children(change.Raw) {
		key, _ := name.Text()
		if err := inside(v, mjson.Find(file.Raw, "$."+key), mjson.Find(defaults.Raw, "$."+key), path+"."+key); err != nil {
			return fmt.Errorf("%s: %w", path+"."+key, err)
		}
	}
	return nil
}
