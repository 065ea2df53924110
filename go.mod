module github.com/ccmkit/ccmkit

go 1.26
