package access

// Codes of a Refusal, which are those of Mongoose OS.
const (
	CodeBadRequest   = 400 // the login is malformed
	CodeUnauthorized = 401 // a login is needed, or is wrong
	CodeDenied       = 403
	CodeTooMany      = 429 // too often, or too many wrong logins
)

// Refusal is the error of what is not allowed.
type Refusal struct {
	Code    int
	Message string // for the other end
}

// Error returns the message.
func (r *Refusal) Error() string { return "access: " + r.Message }

// The refusals. None of them says more than the other end may know.
var (
	errLoginNeeded = &Refusal{CodeUnauthorized, "unauthorized"}
	errBadLogin    = &Refusal{CodeBadRequest, "bad request"}
	errDenied      = &Refusal{CodeDenied, "unauthorized"}
	errTooOften    = &Refusal{CodeTooMany, "too many requests"}
	errLockedOut   = &Refusal{CodeTooMany, "too many failed logins"}
)
