package cli

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// templates has a folder for each language, beside the files that all share.
//
//go:embed all:templates
var templates embed.FS

const (
	templatesFolder = "templates"
	sharedTemplates = "shared"
	sampleGroup     = "example.com"
	// maxInitName leaves room for what the name becomes a part of: a plural, and names of children.
	maxInitName = 40
)

// language is a language that wasmloop init knows. It has a folder of its name in templates.
type language struct {
	// about says what it makes.
	about string
	// compiler is the program that builds it; missing is what is said if it is not there.
	compiler string
	missing  error
	// usesSDK is true if the module needs the Go module that has the SDK.
	usesSDK bool
}

var languages = map[string]language{
	"go":      {"a Go program with the SDK: a reactor, the fast tier", goCommand, errNoGo, true},
	"wasi-go": {"a plain Go program from stdin to stdout, with the standard library alone: a command", goCommand, errNoGo, false},
}

// initFlags are the flags of wasmloop init.
type initFlags struct {
	language string
	sdk      string
}

func newInitCommand() *cobra.Command {
	flags := &initFlags{}
	names := slices.Sorted(maps.Keys(languages))
	var about strings.Builder
	for _, name := range names {
		fmt.Fprintf(&about, "  %-8s %s\n", name, languages[name].about)
	}
	command := &cobra.Command{
		Use:   "init NAME",
		Short: "Make a new module: source, test, CRD, sample, config, Makefile",
		Long: `Make a folder with a small module that is complete: it builds, and its tests pass. The last part of NAME, which may be a
path, is the module's name: up to ` + fmt.Sprint(maxInitName) + ` lower-case letters, digits and "-".

Languages:
` + about.String() + `
A Go module has a go.mod of its own, unless the folder is within a Go module that has what it needs. The SDK comes from the
version of wasmloop that makes the folder or, where that is no release, from the checkout that wasmloop was built in or the
one that --sdk names.`,
		Example: `  wasmloop init modules/greeting
  wasmloop init greeting --language wasi-go`,
		Args:              oneArgument("the name of the new module"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, args []string) error {
			return flags.init(command.OutOrStdout(), command.ErrOrStderr(), args[0])
		},
	}
	set := command.Flags()
	set.StringVar(&flags.language, "language", "go", "`language` of the source: "+strings.Join(names, " or "))
	set.StringVar(&flags.sdk, "sdk", "", "`folder` of a checkout of wasmloop, to take the SDK from")
	_ = command.RegisterFlagCompletionFunc("language", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)) // these two fail only for a flag that does not exist
	_ = command.MarkFlagDirname("sdk")
	return command
}

func (f *initFlags) init(stdout, stderr io.Writer, folder string) error {
	language, ok := languages[f.language]
	if !ok {
		return fmt.Errorf("unknown --language %q: want %s (what other compilers make is taken by wasmloop build --wasm)",
			f.language, strings.Join(slices.Sorted(maps.Keys(languages)), " or "))
	}
	values, err := newTemplateValues(filepath.Base(filepath.Clean(folder)))
	if err != nil {
		return err
	}
	if _, err := os.Lstat(folder); err == nil {
		return fmt.Errorf("%s: it exists already: choose another name, or remove it first", folder)
	}
	if err := values.resolve(folder, f.sdk, language); err != nil {
		return err
	}
	files, err := fillAll(f.language, values)
	if err != nil {
		return err
	}
	if err := writeFolder(folder, files); err != nil {
		return fmt.Errorf("cannot make %s: %w", folder, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintln(stdout, filepath.Join(folder, name))
	}
	sayWhatIsNext(stderr, folder, language, values)
	return nil
}

func sayWhatIsNext(stderr io.Writer, folder string, language language, values *templateValues) {
	if _, err := exec.LookPath(language.compiler); err != nil {
		fmt.Fprintf(stderr, "! %v\n", language.missing)
	}
	if values.Wasmloop == "wasmloop" {
		if _, err := exec.LookPath("wasmloop"); err != nil {
			fmt.Fprintf(stderr, "! wasmloop is not in PATH, where the Makefile looks for it: put it there, or say make WASMLOOP=%s\n", executable())
		}
	}
	first := ""
	if values.SDKVersion != "" && values.SDKReplace == "" && !values.InModule {
		first = "  go mod tidy          # fetches the SDK\n"
	}
	fmt.Fprintf(stderr, `✔ made the module %s. Next:
  cd %s
%s  make test            # its tests, without a cluster
  make build           # %s.wasm
  make golden          # the cases in testdata, over a cluster in memory
  make run             # a control plane on this machine, with the sample in it
`, values.Name, folder, first, values.Name)
}

// templateValues are what templates are filled in with.
type templateValues struct {
	Name, Kind, Singular, Plural, Group string
	// Wasmloop is how the Makefile calls wasmloop.
	Wasmloop string
	// InModule is true if no go.mod is needed.
	InModule bool
	// Go is the version of Go that the go.mod asks for.
	Go string
	// SDKVersion is the version of the SDK, SDKReplace the folder that it is in instead.
	SDKVersion, SDKReplace string
}

var initName = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

func newTemplateValues(name string) (*templateValues, error) {
	switch {
	case !initName.MatchString(name) || len(name) > maxInitName:
		return nil, fmt.Errorf("%q is no name for a module: want up to %d lower-case letters, digits and \"-\", with a letter first, such as site-checker",
			name, maxInitName)
	case slices.Contains([]string{"config-map", "internal", "testdata", "vendor"}, name):
		return nil, fmt.Errorf("%q is no name for a module: it means something else in its source or to its compiler; choose another", name)
	}
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '-' })
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	kind := strings.Join(words, "")
	plural, singular := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Group: sampleGroup, Version: "v1", Kind: kind})
	return &templateValues{
		Name: name, Kind: kind, Singular: singular.Resource, Plural: plural.Resource, Group: sampleGroup,
		Wasmloop: "wasmloop", Go: "1.24",
	}, nil
}

// fillAll fills the templates of a language in, and returns the files by their paths.
func fillAll(language string, values *templateValues) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, folder := range []string{sharedTemplates, language} {
		root := path.Join(templatesFolder, folder)
		err := fs.WalkDir(templates, root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fill(name, values)
			if target := targetOf(strings.TrimPrefix(name, root+"/"), values); len(content) > 0 {
				files[target] = content
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// targetOf returns the path of the file that a template becomes.
func targetOf(name string, values *templateValues) string {
	name = strings.ReplaceAll(strings.TrimSuffix(name, ".tmpl"), "NAME", values.Name)
	if name == "gitignore" {
		name = "." + name // which would hide files of ours
	}
	return filepath.FromSlash(name)
}

func fill(name string, values *templateValues) ([]byte, error) {
	text, err := templates.ReadFile(name)
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(name).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	if err := parsed.Execute(&content, values); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, ".go.tmpl") {
		return content.Bytes(), nil
	}
	return format.Source(content.Bytes()) // columns are as wide as the names are long
}

// writeFolder makes a folder with these files, whole or not at all.
func writeFolder(folder string, files map[string][]byte) (err error) {
	parent := filepath.Dir(filepath.Clean(folder))
	if err := os.MkdirAll(parent, 0o755); err != nil { //nolint:gosec // source is for all to read
		return err
	}
	temporary, err := os.MkdirTemp(parent, ".wasmloop-init-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temporary) // err says more
		}
	}()
	for name, content := range files {
		target := filepath.Join(temporary, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil { //nolint:gosec // source is for all to read
			return err
		}
		if err := os.WriteFile(target, content, 0o644); err != nil { //nolint:gosec // source is for all to read
			return err
		}
	}
	if err := os.Chmod(temporary, 0o755); err != nil { //nolint:gosec // source is for all to read
		return err
	}
	return os.Rename(temporary, folder)
}

// resolve finds out how the module in folder finds the SDK and wasmloop.
func (v *templateValues) resolve(folder, sdk string, language language) error {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	around := goModuleAround(filepath.Dir(absolute))
	checkout := ownCheckout()
	if checkout != "" && isSameFile(around, checkout) { // as in this project's own folder modules
		v.Wasmloop = relative(absolute, executable())
	}
	if sdk == "" && around != "" && (!language.usesSDK || hasSDK(around)) {
		v.InModule = true
		return nil
	}
	if !language.usesSDK {
		return nil
	}
	v.Go, v.SDKVersion = sdkGo, release()
	if sdk != "" && !isSDK(sdk) {
		return fmt.Errorf("--sdk %s: it is no checkout of wasmloop: there is no go.mod of module %s in it", sdk, sdkModule)
	}
	if sdk == "" && v.SDKVersion != "" {
		return nil
	}
	if sdk = cmp.Or(sdk, checkout); sdk == "" {
		return errors.New("this wasmloop is no release, so there is no version of the SDK to go with it: give --sdk DIR, a checkout of wasmloop")
	}
	if sdk, err = filepath.Abs(sdk); err != nil {
		return err
	}
	v.SDKVersion, v.SDKReplace = "v0.0.0", relative(absolute, sdk)
	return nil
}

// relative returns the way from a folder to a path as a go.mod has it: it begins with a dot or a root.
func relative(folder, to string) string {
	way, err := filepath.Rel(folder, to)
	if err != nil {
		return filepath.ToSlash(to)
	}
	if way = filepath.ToSlash(way); !strings.HasPrefix(way, ".") {
		way = "./" + way
	}
	return way
}
