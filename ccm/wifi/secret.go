package wifi

import "github.com/ccmkit/ccmkit/internal/secret"

// Password is text that does not show itself: package fmt with any verb,
// encoding/json and log/slog print eight stars, or nothing if it is empty. What it
// holds is string(p).
type Password = secret.Text
