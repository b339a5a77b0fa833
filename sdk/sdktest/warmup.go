package sdktest

import (
	"testing"

	"github.com/wasmloop/wasmloop/sdk"
)

// WarmUp tests the requests that the module gave to sdk.WarmUp: there is at least one, and each is answered without an
// error, since one that is refused warms nothing up.
func WarmUp(t testing.TB) {
	t.Helper()
	requests := sdk.WarmUps()
	if len(requests) == 0 {
		t.Error("the module gives sdk.WarmUp no request")
	}
	for i, request := range requests {
		if _, err := sdk.Registered()(request); err != nil {
			t.Errorf("warm-up request %d: %v", i, err)
		}
	}
}
