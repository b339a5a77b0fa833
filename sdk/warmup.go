package sdk

// warmUps are the requests that were given to WarmUp.
var warmUps [][]byte

// WarmUp has the module answer these requests while it starts, right after Register. Do so with one request that goes
// the usual way through the function, children included.
//
// The host starts a module once and gives each call a copy of what it is then. What a Go program does only the first
// time, above all that it looks at each type that it decodes, would otherwise be done anew in every call, which makes a call
// ten times slower. The answers are thrown away. The requests must not be changed
// afterwards. Test the requests with sdktest.WarmUp.
func WarmUp(requests ...[]byte) {
	warmUps = append(warmUps, requests...)
	warmUp(requests)
}

// WarmUps returns the requests that were given to WarmUp, for tests.
func WarmUps() [][]byte { return warmUps }
