//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const repository = "../../.."

// tool is this program, built, and out what it has written.
var tool, out string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == enterArgument {
		fmt.Fprintln(os.Stderr, enter(os.Args[2], os.Args[3:]))
		os.Exit(1)
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	folder, err := os.MkdirTemp("", "wasmloop-image-test-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	tool, out = filepath.Join(folder, "build"), filepath.Join(folder, "out")
	if output, err := exec.Command("go", "build", "-trimpath", "-o", tool, ".").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%w\n%s", err, output)
	}
	if err := build("--out", out); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// build runs this program in the repository's folder.
func build(args ...string) error {
	command := exec.Command(tool, append([]string{"--version", "1.2.3"}, args...)...)
	command.Dir = repository
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return nil
}

func TestImagesAreTheSameEachTime(t *testing.T) {
	again := t.TempDir()
	if err := build("--out", again); err != nil {
		t.Fatal(err)
	}
	first, second := sums(t, out), sums(t, again)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("other bytes the second time (-first +second):\n%s", diff)
	}
	if len(first) < 8 {
		t.Errorf("only these were written: %v", first)
	}
}

// sums returns the digests of all files below a folder.
func sums(t *testing.T, folder string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(folder, path))
		sums[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// read returns an image that was written as a Docker archive.
func read(t *testing.T, arch string) v1.Image {
	t.Helper()
	image, err := tarball.ImageFromPath(filepath.Join(out, "wasmloop-linux-"+arch+".tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// member is what the tests look at of a file in an image.
type member struct {
	Mode int64
	User int
}

// extract returns what is in an image.
func extract(t *testing.T, image v1.Image) (members map[string]member, contents map[string][]byte) {
	t.Helper()
	stream := mutate.Extract(image)
	defer func() { _ = stream.Close() }()
	members, contents = map[string]member{}, map[string][]byte{}
	for r := tar.NewReader(stream); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return members, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != header.Gid {
			t.Errorf("%s is of user %d and group %d", header.Name, header.Uid, header.Gid)
		}
		path := strings.TrimSuffix(header.Name, "/")
		members[path] = member{header.Mode, header.Uid}
		if header.Typeflag == tar.TypeReg {
			if contents[path], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhatIsInAnImage(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			members, contents := extract(t, read(t, arch))
			want := map[string]member{
				"LICENSE": {0o644, 0}, "etc": {0o755, 0}, "etc/group": {0o644, 0}, "etc/passwd": {0o644, 0}, "etc/ssl": {0o755, 0},
				"etc/ssl/certs": {0o755, 0}, "etc/ssl/certs/ca-certificates.crt": {0o644, 0}, "modules": {0o755, 0},
				"modules/serviceaddress.wasm": {0o644, 0}, "tmp": {0o1777, 65532}, "tmp/kubebuilder-envtest": {0o755, 65532}, "var": {0o755, 0}, "var/cache": {0o755, 0},
				"var/cache/wasmloop": {0o700, 65532}, "wasmloop": {0o755, 0},
			}
			if diff := cmp.Diff(want, members); diff != "" {
				t.Errorf("other files are in it (-want +got):\n%s", diff)
			}
			binary, err := elf.NewFile(bytes.NewReader(contents["wasmloop"]))
			if err != nil {
				t.Fatal(err)
			}
			if libraries, err := binary.ImportedLibraries(); err != nil || len(libraries) > 0 || binary.Machine != machine {
				t.Errorf("the host is for %s, with the libraries %v (%v)", binary.Machine, libraries, err)
			}
			if !x509.NewCertPool().AppendCertsFromPEM(contents["etc/ssl/certs/ca-certificates.crt"]) {
				t.Error("there are no CA certificates")
			}
		})
	}
}

func TestImagesSayHowToRunThem(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		file, err := read(t, arch).ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		got := []any{file.OS, file.Architecture, file.Config.User, file.Config.Entrypoint, file.Config.Cmd, file.Config.Labels["org.opencontainers.image.version"]}
		want := []any{"linux", arch, "65532:65532", []string{"/wasmloop"}, []string{"help"}, "1.2.3"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("it says otherwise (-want +got):\n%s", diff)
		}
	}
}

// The layout and what is pushed are one image for all platforms.
func TestLayoutAndRegistryHaveBothPlatforms(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repositoryName := strings.TrimPrefix(server.URL, "http://") + "/wasmloop"
	if err := build("--out", t.TempDir(), "--name", repositoryName, "--push"); err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(repositoryName + ":1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := remote.Index(reference)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pushed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	written, err := layout.ImageIndexFromPath(filepath.Join(out, "oci"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := written.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != got {
		t.Errorf("the layout has %v, the registry %v", manifest.Manifests, got)
	}
	index, err := pushed.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, image := range index.Manifests {
		platforms = append(platforms, image.Platform.String())
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Errorf("it is for other platforms (-want +got):\n%s", diff)
	}
}

// The Dockerfile gives the same files, and runs them in the same way.
func TestDockerfile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "rootfs")
	if err := build("--platforms", "linux/amd64", "--rootfs", folder); err != nil {
		t.Fatal(err)
	}
	image := read(t, "amd64")
	_, contents := extract(t, image)
	for path, content := range contents {
		written, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil || !bytes.Equal(written, content) {
			t.Errorf("%s is another file than in the image (%v)", path, err)
		}
	}
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^COPY --from=build .*?/rootfs(/\S*) `).FindAllSubmatch(dockerfile, -1) {
		if _, err := os.Stat(filepath.Join(folder, string(match[1]))); err != nil {
			t.Errorf("it copies what is not there: %v", err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"USER " + config.Config.User, "WORKDIR " + config.Config.WorkingDir, "ENTRYPOINT " + inJSON(t, config.Config.Entrypoint), "CMD " + inJSON(t, config.Config.Cmd),
	} {
		if !bytes.Contains(dockerfile, []byte("\n"+line+"\n")) {
			t.Errorf("it has no line %q", line)
		}
	}
}

func inJSON(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The SBOM names everything once, and says of the host what the toolchain says of it.
func TestBill(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		data, err := os.ReadFile(filepath.Join(out, "wasmloop-linux-"+arch+".spdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		d := &document{}
		if err := json.Unmarshal(data, d); err != nil {
			t.Fatal(err)
		}
		ids, names := map[string]bool{documentID: true}, map[string]bool{}
		for _, p := range d.Packages {
			if ids[p.ID] || !regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`).MatchString(p.ID) {
				t.Errorf("%s: the ID %q is there twice, or is none", p.Name, p.ID)
			}
			ids[p.ID], names[p.Name] = true, true
		}
		for _, r := range d.Relationships {
			if !ids[r.Element] || !ids[r.Related] {
				t.Errorf("there is no such relationship: %v", r)
			}
		}
		for _, want := range []string{
			"image", "wasmloop", "serviceaddress.wasm", "stdlib", certificates, "github.com/tetratelabs/wazero", "k8s.io/client-go", "sigs.k8s.io/controller-runtime",
		} {
			if !names[want] {
				t.Errorf("%s is missing", want)
			}
		}
		if names["github.com/google/go-containerregistry/pkg/registry"] || len(d.Relationships) != len(d.Packages) {
			t.Errorf("there are %d packages and %d relationships", len(d.Packages), len(d.Relationships))
		}
	}
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"another OS":               {[]string{"--version=1.2.3", "--platforms=windows/amd64"}, "want linux/ARCHITECTURE"},
		"no version":               {nil, "want --version"},
		"a tree for two platforms": {[]string{"--version=1.2.3", "--rootfs=there"}, "--rootfs is for one platform"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), c.args); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v, want %q", err, c.want)
			}
		})
	}
}
