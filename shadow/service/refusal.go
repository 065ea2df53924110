package service

import "github.com/ccmkit/ccmkit/shadow"

// The texts of code 400. Those of this file are of the AWS developer guide, "Device
// Shadow error messages", unless something else is said.
const (
	invalidJSON      = "Invalid JSON"
	noState          = "Missing required node: state"
	stateNoObject    = "State node must be an object"
	desiredNoObject  = "Desired node must be an object"
	reportedNoObject = "Reported node must be an object"
	invalidVersion   = "Invalid version"
	invalidToken     = "Invalid clientToken"
	tooDeep          = "JSON contains too many levels of nesting; maximum is 6"
	invalidNode      = "State contains an invalid node"
	invalidName      = "Invalid thing or shadow name" // our own
)

func badRequest(message string) *shadow.Error { return &shadow.Error{Code: 400, Message: message} }

// notFound says that there is no shadow. AWS calls the classic one by the name
// of the thing.
func notFound(i id) *shadow.Error {
	return &shadow.Error{Code: 404, Message: "No shadow exists with name: '" + i.shadow() + "'"}
}

func conflict() *shadow.Error { return &shadow.Error{Code: 409, Message: "Version conflict"} }

func tooLarge() *shadow.Error {
	return &shadow.Error{Code: 413, Message: "The payload exceeds the maximum size allowed"}
}

func notUTF8() *shadow.Error {
	return &shadow.Error{Code: 415, Message: "Unsupported documented encoding; supported encoding is UTF-8"}
}

// tooMany says that a bound of this service is reached. AWS has other bounds.
func tooMany(what string) *shadow.Error {
	return &shadow.Error{Code: 429, Message: "Too many " + what}
}

func internalFailure() *shadow.Error {
	return &shadow.Error{Code: 500, Message: "Internal service failure"}
}
