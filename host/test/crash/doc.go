// Package crash holds the tests that stop a host after every single write, and disturb it in all other ways, and look at
// what it leaves behind.
//
// A world is an API server in memory, users, neighbours, and a host: its caches, its queues and its Reconcilers, wired as in
// the engine, but driven by one goroutine, in a time of its own, by choices that all come from a seed. So a run that fails is
// run again by the flags that its message names.
//
// The files: world_test.go has the world and its time, host_test.go, cache_test.go and queue_test.go the host, users_test.go
// everybody else. scenarios_test.go is the table of what happens in a world, exhaustive_test.go stops the host at every
// write, disturbed_test.go does it in a cluster where nothing is reliable. check_test.go says what is right, writes_test.go
// watches each write, and planted_test.go shows that both find what is wrong.
package crash
