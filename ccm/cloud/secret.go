package cloud

import "github.com/ccmkit/ccmkit/internal/secret"

// Secret is text that does not show itself: package fmt with any verb,
// encoding/json and log/slog print eight stars, or nothing if it is empty. What
// it holds is string(s).
type Secret = secret.Text
