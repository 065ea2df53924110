module github.com/ccmkit/ccmkit

go 1.26.0

require (
	go.bug.st/serial v1.8.0
	golang.org/x/sys v0.49.0
)
