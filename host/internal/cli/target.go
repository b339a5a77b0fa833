package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/modinfo"
	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// targetFlags say which module is looked at, and as which controller.
type targetFlags struct {
	module     string
	config     string
	controller string
	cacheDir   string
}

func (f *targetFlags) register(command *cobra.Command) {
	set := command.Flags()
	set.StringVar(&f.module, "module", "", "Wasm `file` of the module (default: that of the controller in --config)")
	set.StringVar(&f.config, "config", "", "config `file` that has the controller (default: one is made up from what the module answers)")
	set.StringVar(&f.controller, "controller", "", "`name` of the controller in --config (default: the one that reconciles the object's kind)")
	set.StringVar(&f.cacheDir, "cache-dir", render.CacheDir(), "`folder` for compiled modules, writable for this user alone")
	_ = command.MarkFlagFilename("module", "wasm")
	_ = command.MarkFlagFilename("config", "yaml", "yml") // both fail only for a flag that does not exist
}

// target is a module and the controller that it is the logic of.
type target struct {
	// entry is the controller's, nil if there is no config.
	entry *config.Controller
	url   string
	// name is that of the module's file.
	name string
	// source fetches the module as the config says, nil if there is no config.
	source *source.Client
}

// find finds the target, given the kinds of objects that are to be reconciled.
func (f *targetFlags) find(kinds ...schema.GroupVersionKind) (*target, error) {
	t := &target{}
	if f.config == "" {
		if f.controller != "" {
			return nil, errors.New("--controller names a controller of --config, which is not given")
		}
		if f.module == "" {
			return nil, errors.New("give --module FILE.wasm, or --config FILE of a config that has the controller")
		}
		return t, t.use(f.module)
	}
	conf, err := config.Load(f.config)
	if err != nil {
		return nil, err
	}
	if t.entry, err = f.choose(conf, kinds); err != nil {
		return nil, err
	}
	if f.module != "" {
		return t, t.use(f.module)
	}
	if t.source, err = render.Source(conf, source.Options{StoreDir: storeOf(f.cacheDir)}); err != nil {
		return nil, err
	}
	url := conf.Modules[t.entry.Module].Source
	path, isFile := strings.CutPrefix(url, "file://")
	if !isFile || strings.Contains(url, "@sha256:") {
		t.url, t.name = url, t.entry.Module
		return t, nil
	}
	return t, t.use(path)
}

// kindsIn returns the kinds of objects, each once.
func kindsIn(objects []render.Object) (kinds []schema.GroupVersionKind) {
	for _, object := range objects {
		if kind := object.GroupVersionKind(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// likelyReconciled returns the kind that is reconciled where nothing says so: the first one, but for namespaces and definitions of
// kinds, which are there for the others.
func likelyReconciled(objects []render.Object) schema.GroupVersionKind {
	for _, object := range objects {
		if kind := object.GroupVersionKind(); kind.Kind != "Namespace" && kind.Kind != "CustomResourceDefinition" {
			return kind
		}
	}
	return objects[0].GroupVersionKind()
}

// choose finds the controller that is meant.
func (f *targetFlags) choose(conf *config.Config, kinds []schema.GroupVersionKind) (*config.Controller, error) {
	var fitting, names []string
	var chosen *config.Controller
	for i := range conf.Controllers {
		entry := &conf.Controllers[i]
		names = append(names, entry.Name)
		if f.controller == entry.Name {
			return entry, nil
		}
		if !slices.ContainsFunc(entry.ForKinds(), func(kind config.GroupVersionKind) bool { return slices.Contains(kinds, kind.Schema()) }) {
			continue
		}
		if f.module != "" && !sameFile(strings.TrimPrefix(conf.Modules[entry.Module].Source, "file://"), f.module) {
			continue
		}
		fitting, chosen = append(fitting, entry.Name), entry
	}
	switch {
	case f.controller != "":
		return nil, fmt.Errorf("no controller is named %q; there are %s", f.controller, strings.Join(names, ", "))
	case len(fitting) > 1:
		return nil, fmt.Errorf("several controllers reconcile %s: say which with --controller: %s", kindsText(kinds), strings.Join(fitting, ", "))
	case len(fitting) == 0 && f.module != "":
		return nil, fmt.Errorf("no controller in %s reconciles %s with module %s: say which is meant with --controller: %s",
			f.config, kindsText(kinds), f.module, strings.Join(names, ", "))
	case len(fitting) == 0:
		return nil, fmt.Errorf("no controller in %s reconciles %s", f.config, kindsText(kinds))
	default:
		return chosen, nil
	}
}

func kindsText(kinds []schema.GroupVersionKind) string {
	texts := make([]string, len(kinds))
	for i, kind := range kinds {
		texts[i] = kind.GroupVersion().String() + " " + kind.Kind
	}
	return strings.Join(texts, " or ")
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// use takes the module from a file, after a look whether it can be one at all.
func (t *target) use(path string) error {
	wasm, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read the module: %w", err)
	}
	if err := modinfo.Check(wasm); err != nil {
		return fmt.Errorf("%s is no module: %w", path, err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	t.url, t.name = "file://"+absolute, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	return nil
}

// collectLess has garbage collected when the heap is five times what is in use, unless GOGC says otherwise: what runs modules here
// ends soon, and collecting takes a seventh of the time of rendering many objects.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// load loads the target's module into a sandbox of its own.
func (t *target) load(ctx context.Context, options render.SandboxOptions) (module *render.Module, closeIt func(), err error) {
	collectLess()
	options.Source = t.source
	sandbox, err := render.NewSandbox(ctx, options)
	if err != nil {
		return nil, nil, err
	}
	closeIt = func() { _ = sandbox.Close(context.WithoutCancel(ctx)) } // memory is all that there is to lose
	if module, err = sandbox.Load(ctx, t.url, t.entry); err != nil {
		closeIt()
		return nil, nil, err
	}
	return module, closeIt, nil
}

// readObjects reads the objects of files; "-" stands for stdin, and of a folder all YAML files are read.
func readObjects(stdin io.Reader, paths ...string) (objects []render.Object, err error) {
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			read, err := readFile(stdin, file)
			if err != nil {
				return nil, err
			}
			objects = append(objects, read...)
		}
	}
	return objects, nil
}

func readFile(stdin io.Reader, path string) ([]render.Object, error) {
	if path == "-" {
		data, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("cannot read stdin: %w", err)
		}
		return render.Decode("stdin", data)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the objects: %w", err)
	}
	return render.Decode(path, data)
}

func filesOf(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the objects: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	for _, pattern := range []string{"*.yaml", "*.yml", "*.json"} {
		found, _ := filepath.Glob(filepath.Join(path, pattern)) // which fails only for another pattern
		files = append(files, found...)
	}
	slices.Sort(files)
	if len(files) == 0 {
		return nil, fmt.Errorf("folder %s has no YAML file", path)
	}
	return files, nil
}

// readOne reads the one object that is reconciled. advice says what else may be done with several.
func readOne(stdin io.Reader, path, advice string) (render.Object, error) {
	objects, err := readObjects(stdin, path)
	if err != nil {
		return nil, err
	}
	switch len(objects) {
	case 0:
		return nil, fmt.Errorf("%s has no object", path)
	case 1:
		return objects[0], nil
	default:
		return nil, fmt.Errorf("%s has %d objects, and one is reconciled: put the others into a file of their own, and give that after it%s", path, len(objects), advice)
	}
}
