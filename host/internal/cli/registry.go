package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/modinfo"
	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// registryFlags say how to reach registries.
type registryFlags struct {
	plainHTTP bool
	caFile    string
	cacheDir  string
}

// registryHelp says where credentials and proxies come from.
const registryHelp = `Credentials are those of docker login, credential helpers included: Docker's config is looked for in DOCKER_CONFIG or else in
~/.docker. Proxies are those of HTTPS_PROXY, HTTP_PROXY and NO_PROXY. A registry on localhost or 127.0.0.1 is spoken to in
plain HTTP, unless --ca-file or --plain-http=false is given.`

func (f *registryFlags) register(command *cobra.Command) {
	set := command.Flags()
	set.BoolVar(&f.plainHTTP, "plain-http", false, "use http instead of https for the registry, for credentials too")
	set.StringVar(&f.caFile, "ca-file", "", "`file` with the certificate authorities (PEM) of the registry, beside those of the system")
	set.StringVar(&f.cacheDir, "cache-dir", render.CacheDir(), "`folder` for modules that were fetched, writable for this user alone")
	_ = command.MarkFlagFilename("ca-file", "pem", "crt") // fails only for a flag that does not exist
}

// client returns a client for the registries of these sources.
func (f *registryFlags) client(command *cobra.Command, urls ...string) (*source.Client, error) {
	options := source.Options{Registries: map[string]source.Registry{}, Progress: showProgress(command.ErrOrStderr())}
	options.StoreDir = storeOf(f.cacheDir)
	options.Warn = func(err error) { fmt.Fprintf(command.ErrOrStderr(), "► %v\n", err) }
	for _, url := range urls {
		ref, err := source.Parse(url)
		if err != nil {
			return nil, err
		}
		if f.caFile != "" || command.Flags().Changed("plain-http") {
			options.Registries[ref.Host] = source.Registry{PlainHTTP: f.plainHTTP, CAFile: f.caFile}
		}
	}
	return source.New(options)
}

// storeOf returns the folder for modules within that for all that is kept, if there is one.
func storeOf(cacheDir string) string {
	if cacheDir == "" {
		return ""
	}
	return filepath.Join(cacheDir, "modules")
}

// showProgress returns what shows how far a transfer is, nil if nobody sees it.
func showProgress(w io.Writer) func(source.Progress) {
	if !isTerminal(w) {
		return nil
	}
	var last time.Time
	return func(p source.Progress) {
		if p.Done == p.Total {
			fmt.Fprint(w, "\r\x1b[K") // results come next
		} else if time.Since(last) > 100*time.Millisecond {
			last = time.Now()
			fmt.Fprintf(w, "\r\x1b[K► %s: %s of %s", p.URL, mebibytes(uint64(max(p.Done, 0))), mebibytes(uint64(max(p.Total, 0))))
		}
	}
}

// annotationsOf returns what a module says of itself, by the names that OCI has for that.
func annotationsOf(m *modinfo.Metadata) map[string]string {
	annotations := map[string]string{}
	if m == nil {
		return annotations
	}
	for name, value := range map[string]string{"title": m.Name, "version": m.Version, "description": m.Description, "revision": m.Revision} {
		if value != "" {
			annotations["org.opencontainers.image."+name] = value
		}
	}
	return annotations
}

// pulledView is a registry's module as -o json shows it.
type pulledView struct {
	Source string `json:"source"`
	// Pinned is the source with the digest that it was resolved to.
	Pinned string `json:"pinned"`
	// Digest is that of the module, and Manifest that of its manifest, if it has one.
	Digest   string `json:"digest"`
	Manifest string `json:"manifest,omitempty"`
	Size     int    `json:"size"`
	File     string `json:"file,omitempty"`
	// Stale is why the registry could not be asked what the tag is now.
	Stale       string            `json:"stale,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func newPulledView(url, file string, module *source.Module) *pulledView {
	view := &pulledView{
		Source: url, Pinned: module.Pinned, Digest: module.Digest, Manifest: module.Manifest,
		Size: len(module.Bytes), File: file, Annotations: module.Annotations,
	}
	if module.Stale != nil {
		view.Stale = module.Stale.Error()
	}
	return view
}

func (v *pulledView) print(w io.Writer, output string) error {
	if output == outputJSON {
		return printJSON(w, v)
	}
	table := &fields{out: w}
	if v.File != "" {
		table.add("file", v.File)
	}
	table.add("digest", v.Digest)
	if v.Manifest != "" {
		table.add("manifest", v.Manifest)
	}
	table.add("size", mebibytes(uint64(v.Size)))
	table.add("pinned", v.Pinned)
	return table.print()
}

// warnStale says that a module may be an old one.
func warnStale(w io.Writer, module *source.Module) {
	if module.Stale != nil {
		fmt.Fprintf(w, "► the registry could not be asked, so this is what the tag was when last asked: %v\n", module.Stale)
	}
}
