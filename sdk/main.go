package sdk

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Main runs the module as a command: it reads one request from stdin and writes the response to stdout. An error of the
// reconcile function is written as a response too. Call it in main to try a module natively (go run . <request.json),
// or to build it for the command tier of the contract, with GOOS=wasip1, without -buildmode=c-shared and with
// -tags wasmloop_command. A module for the reactor tier never runs its main.
func Main() {
	if err := serve(Registered(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(handle Handler, stdin io.Reader, stdout io.Writer) error {
	request, err := io.ReadAll(stdin)
	if err != nil {
		return fmt.Errorf("cannot read the request: %w", err)
	}
	response, err := handle(request)
	if err != nil {
		response, err = json.Marshal(abi.Response{Error: &abi.Error{Message: err.Error(), Terminal: IsTerminal(err)}})
	}
	if err != nil {
		return fmt.Errorf("cannot encode the error: %w", err)
	}
	if _, err := stdout.Write(response); err != nil {
		return fmt.Errorf("cannot write the response: %w", err)
	}
	return nil
}
