package cloud

import "strconv"

// Reason says why there is no connection, for programs. Its text is for people.
type Reason uint8

// The reasons.
const (
	ReasonNone              Reason = iota // connected
	ReasonNotStarted                      // no Run yet
	ReasonStopped                         // Run has ended
	ReasonClock                           // the clock is not set, see Config.RequireTime
	ReasonConfig                          // what Config names is not usable: a file, the credentials
	ReasonPlainCredentials                // credentials would go over the network in clear
	ReasonUnreachable                     // no TCP connection
	ReasonTimeout                         // the server did not answer in time
	ReasonClosed                          // the server closed the connection
	ReasonNetwork                         // the connection broke
	ReasonPacket                          // the server sent what is malformed or too large
	ReasonTLS                             // no TLS connection, for another reason than those below
	ReasonTLSVersion                      // the server has no TLS 1.2 or better
	ReasonTLSExpired                      // the server's certificate has expired
	ReasonTLSNotYetValid                  // the server's certificate is not valid yet, or our clock is wrong
	ReasonTLSName                         // the server's certificate is for another name
	ReasonTLSUnknownCA                    // the server's certificate is from a CA we do not trust
	ReasonTLSWeak                         // the server's certificate has a weak key or signature
	ReasonTLSClient                       // the server refuses our certificate, or we have none
	ReasonProtocolVersion                 // CONNACK 1
	ReasonClientID                        // CONNACK 2
	ReasonServerUnavailable               // CONNACK 3
	ReasonBadCredentials                  // CONNACK 4
	ReasonNotAuthorized                   // CONNACK 5
)

var reasonTexts = [...]string{
	ReasonNone:              "connected",
	ReasonNotStarted:        "not started",
	ReasonStopped:           "stopped",
	ReasonClock:             "the clock is not set",
	ReasonConfig:            "the configuration cannot be used",
	ReasonPlainCredentials:  "credentials are not sent without TLS",
	ReasonUnreachable:       "the server cannot be reached",
	ReasonTimeout:           "the server does not answer",
	ReasonClosed:            "the server closed the connection",
	ReasonNetwork:           "the connection broke",
	ReasonPacket:            "the server broke the protocol",
	ReasonTLS:               "no TLS connection",
	ReasonTLSVersion:        "the server is too old for TLS 1.2",
	ReasonTLSExpired:        "the server's certificate has expired",
	ReasonTLSNotYetValid:    "the server's certificate is not valid yet, or the clock is wrong",
	ReasonTLSName:           "the server's certificate is for another name",
	ReasonTLSUnknownCA:      "the server's certificate is from an unknown authority",
	ReasonTLSWeak:           "the server's certificate is too weak",
	ReasonTLSClient:         "the server does not accept our certificate",
	ReasonProtocolVersion:   "the server does not speak MQTT 3.1.1",
	ReasonClientID:          "the server refuses the client id",
	ReasonServerUnavailable: "the server is unavailable",
	ReasonBadCredentials:    "the server refuses the user name or password",
	ReasonNotAuthorized:     "the server does not authorize us",
}

// String returns a short text in English.
func (r Reason) String() string {
	if int(r) < len(reasonTexts) {
		return reasonTexts[r]
	}
	return "reason " + strconv.Itoa(int(r))
}

// refusal reports whether the server knows us and does not want us, so that
// asking again soon would be rude.
func (r Reason) refusal() bool {
	switch r {
	case ReasonTLSClient, ReasonClientID, ReasonServerUnavailable, ReasonBadCredentials, ReasonNotAuthorized:
		return true
	}
	return false
}

// connackReasons are the reasons of the return codes of CONNACK (MQTT 3.1.1,
// section 3.2.2.3).
var connackReasons = [...]Reason{
	1: ReasonProtocolVersion, 2: ReasonClientID, 3: ReasonServerUnavailable,
	4: ReasonBadCredentials, 5: ReasonNotAuthorized,
}

// Error is why there is no connection. Its text names the server and never
// holds a secret of the configuration.
type Error struct {
	Reason Reason
	Server string // address, "" if no server is at fault
	Err    error  // the cause, or nil
}

// Error returns the server, the reason and the cause.
func (e *Error) Error() string {
	s := "cloud: "
	if e.Server != "" {
		s += e.Server + ": "
	}
	s += e.Reason.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
