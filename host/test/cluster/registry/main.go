// Command registry is an OCI registry that forgets all when it ends, for tests in a cluster that has no other.
package main

import (
	"log"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	server := &http.Server{Addr: ":5000", Handler: registry.New(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
