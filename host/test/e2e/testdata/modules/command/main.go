// Command command is a module of the any-language tier: a plain program that knows nothing of any SDK.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	var request struct {
		Controller string
		Object     struct{ Metadata struct{ Name string } }
		Settings   struct{ Greeting string }
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		fmt.Fprintln(os.Stderr, "bad request:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "greeting", request.Object.Metadata.Name)
	fmt.Printf(`{"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"text":%q}}]}`,
		request.Object.Metadata.Name+"-greeting", request.Settings.Greeting+", "+request.Object.Metadata.Name)
}
