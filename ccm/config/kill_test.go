package config_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/config"
)

// childDir is the environment variable that makes the test binary the child of
// TestC9Kill: it names the directory.
const childDir = "CCMKIT_TEST_CONFIG_DIR"

// TestC9Child is the child of TestC9Kill. It saves ever larger numbers and prints
// each once it is saved, until it is killed.
func TestC9Child(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return // it is no test by itself
	}
	s, err := config.Open(context.Background(), config.Options{Dir: dir, RootKey: rootKey})
	must(t, err)
	for n := s.Int("update.interval") + 1; ; n++ {
		must(t, s.Update(numbered(n), &normal))
		fmt.Println("saved", n)
	}
}

// numbered is a change whose values all tell a number.
func numbered(n int) config.Change {
	text := strconv.Itoa(n)
	return set(`{"update":{"interval":` + text + `},"wifi":{"sta":{"pass":"password-` + text + `"}},
		"http":{"extra_headers":"` + strings.Repeat(text+" ", 200) + `"}}`)
}

// TestC9Kill kills a program with SIGKILL while it saves, on the disk of this machine:
// no save that it told about is lost, and what is found is always whole.
func TestC9Kill(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(9, 9))
	saves, kills, last := 0, 0, 0
	for wanted := heavy(2000); saves < wanted; kills++ {
		told := child(t, dir, random)
		s, err := config.Open(t.Context(), config.Options{Dir: dir, RootKey: rootKey})
		must(t, err)
		n := s.Int("update.interval")
		text := strconv.Itoa(n)
		switch {
		case len(s.Problems()) > 0:
			t.Fatal(s.Problems())
		case n < max(told, last) || told > 0 && n > told+1:
			t.Fatalf("told was %d, found %d", told, n)
		case n > 0 && (s.String("wifi.sta.pass") != "password-"+text || s.String("http.extra_headers") != strings.Repeat(text+" ", 200)):
			t.Fatalf("parts of two saves: %s", tree(t, s))
		}
		saves += n - last
		last = n
	}
	t.Logf("%d saves, %d kills", saves, kills)
}

// child runs the child and kills it after a while. It returns the last number that
// the child has told.
func child(t *testing.T, dir string, random *rand.Rand) (told int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestC9Child$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	stop := 1 + random.IntN(40) // saves before the kill
	pause := time.Duration(random.IntN(2000)) * time.Microsecond
	for lines.Scan() {
		if n, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "saved ")); err == nil {
			told = n
		}
		if stop--; stop == 0 {
			time.AfterFunc(pause, func() { cmd.Process.Kill() }) // somewhere within the next saves
		}
	}
	if err := cmd.Wait(); err == nil || ctx.Err() != nil {
		t.Fatalf("the child was not killed: %v", err)
	}
	return told
}
