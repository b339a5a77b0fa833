// Package bench measures the sandbox against its targets, in one run on one machine, and prints a table of both:
//
//	go test -run '^$' -bench . ./host/test/bench
//
// The ways of calling a module are measured in turns, so that whatever else the machine does hits all alike. What is
// measured of memory is measured in processes of its own.
package bench
