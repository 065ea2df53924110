// Package bench compares ccmkit with what else a Go program could use for the
// same work. It has no API and is a module of its own, so that the libraries it
// compares with stay out of the graph of the others.
//
//	go run ./table                     the table of the README, 6 passes
//	go run ./table -md ../README.md    the same, written into the README
//	go run ./table -check              exit status 1 if a bound is missed
//	go test -run '^$' -bench Sum       one benchmark by hand
//
// # What is measured
//
// Each benchmark is named after the work, each sub-benchmark after the
// contender that does it.
//
//	Sum           answer {"id": 12007, "method": "Sum", "params": [2,3]}
//	Notification  take a Shadow.Delta and read the one boolean in it
//	Params16K     answer null to a request with 16 KiB of params
//	Stream        split 1 MB into lines, dispatch and answer them
//	Find16K       look up the last member of a 16 KiB document
//	Merge         change a 1 KiB document by another one
//	Printf        format the MQTT.Pub notification of the CCM manual
//	Decoder       cut lines of 64 bytes out of a stream read in pieces of 1 KiB
//	Call          call the peer and wait for its answer, over net.Pipe
//
// The contenders:
//
//	ccmkit        jsonrpc.Parse into a reused Message, jsonrpc.Serve with a Mux;
//	              the whole frame is checked. In the other benchmarks the
//	              function of that name: mjson.Find, mjson.Merge, mjson.Appendf,
//	              framing.Decoder, jsonrpc.Conn.
//	engine        jsonrpc.Engine.Process, with the grammar of the C library
//	gjson         gjson.ValidBytes, five times gjson.GetBytes, a switch over the
//	              method. In Find16K gjson.GetBytes alone, which checks nothing.
//	sjson         SetRawBytes or DeleteBytes for each member of the change
//	jsonvalid     json.Valid of encoding/json, which only checks
//	encodingjson  Unmarshal into a struct and a []int, Marshal of the reply
//	jrpc2         the server of github.com/creachadair/jrpc2
//	xexp          a connection of golang.org/x/exp/jsonrpc2
//	sourcegraph   a connection of github.com/sourcegraph/jsonrpc2
//
// The test TestAnswers checks that all contenders of a benchmark give the same
// answers, and each benchmark checks its answer once before it measures.
//
// # Where the comparison is not even
//
// The last three libraries have goroutines of their own, as servers of real
// connections do, so each of their answers includes at least two switches
// between goroutines; ccmkit and the others run where they are called. Their
// frames say "jsonrpc":"2.0", which they insist on. They get and give bytes over
// Go channels, the cheapest connection they can be given. What a connection of
// ccmkit costs, with its goroutines, timers and two framers, is shown by Call.
//
// Five look-ups are how a program asks gjson for five members, and faster than
// gjson.GetManyBytes. A loop over the members with Result.ForEach, which is more
// to write, takes less than half the time of the look-ups. gjson and json.Valid
// do not refuse equal members, invalid UTF-8 or deep nesting, ccmkit does.
//
// # The inputs
//
// testdata holds the inputs. They were written once by testdata/gen.go from a
// fixed seed and are committed, so that every run and every version measures the
// same bytes. The 16 KiB documents are nested objects, arrays, numbers and
// strings with about 4 100 tokens, not one long string that a scanner could jump
// over; the stream is about 18 000 frames of 58 bytes on average.
//
// # How to read the ratios
//
// A ratio is the time of ccmkit divided by the time of the other contender in
// the same pass, so below 1 is faster; for Stream it is the throughput and above
// 1 is faster. The times of a shared machine may differ by a factor of two from
// one minute to the next, while a ratio taken within one pass moves far less:
// compare ratios, and times only within one table. Every figure is the median
// over the passes; a ratio of two medians in the table is therefore not exactly
// the median ratio beside them. A bound is what must hold, a goal what we aim
// for.
package bench
