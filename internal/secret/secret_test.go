package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/secret"
)

// TestText prints a secret in every way, alone and inside of something.
func TestText(t *testing.T) {
	var log strings.Builder
	for text, want := range map[secret.Text]string{"": "", "canary": "********"} {
		boxed := struct{ S secret.Text }{text}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			if got := fmt.Sprintf(verb, text); strings.Trim(got, `"`) != want {
				t.Errorf("%s: %s", verb, got)
			}
			if got := fmt.Sprintf(verb, boxed); strings.Contains(got, "canary") || strings.Contains(got, "63616e617279") {
				t.Errorf("%s: %s", verb, got)
			}
		}
		if got, err := json.Marshal(boxed); string(got) != `{"S":"`+want+`"}` || err != nil {
			t.Errorf("%s, %v", got, err)
		}
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", text, "boxed", boxed)
		if string(text) != map[bool]string{true: "canary"}[text != ""] {
			t.Error("the text is lost")
		}
	}
	if strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), "s=********") {
		t.Error(log.String())
	}
}
