package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"
	"time"
)

// certificates is the Go module that the CA certificates are from. The host is not linked with it.
const certificates = "golang.org/x/crypto/x509roots/fallback"

// document is an SPDX document, version 2.3: the part of it that is written here.
type document struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []spdxPackage  `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID               string        `json:"SPDXID"`
	Name             string        `json:"name"`
	Version          string        `json:"versionInfo"`
	DownloadLocation string        `json:"downloadLocation"`
	FilesAnalyzed    bool          `json:"filesAnalyzed"`
	Concluded        string        `json:"licenseConcluded"`
	Declared         string        `json:"licenseDeclared"`
	Copyright        string        `json:"copyrightText"`
	Purpose          string        `json:"primaryPackagePurpose,omitempty"`
	Checksums        []checksum    `json:"checksums,omitempty"`
	References       []externalRef `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type externalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

const (
	documentID  = "SPDXRef-DOCUMENT"
	unstated    = "NOASSERTION"
	ourLicence  = "Apache-2.0"
	contains    = "CONTAINS"
	dependsOn   = "DEPENDS_ON"
	describes   = "DESCRIBES"
	ourModule   = "github.com/wasmloop/wasmloop"
	application = "APPLICATION"
)

// bill returns the SBOM of an image: what the toolchain has written into the host of the Go modules that it is linked with, the
// sample module, and where the CA certificates are from.
func (p *platformImage) bill(s *source) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(p.binary))
	if err != nil {
		return nil, err
	}
	digest, err := p.image.Digest()
	if err != nil {
		return nil, err
	}
	d := &document{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: documentID,
		Name:      fmt.Sprintf("wasmloop-%s-%s-%s", s.version, p.platform.OS, p.platform.Architecture),
		Namespace: "https://github.com/wasmloop/wasmloop/sbom/" + digest.Hex,
		Creation:  creation{s.created.Format(time.RFC3339), []string{"Organization: Wasmloop", "Tool: deploy/image/build-" + s.version}},
	}
	image := d.add(describes, documentID, &spdxPackage{
		Name: "image", Version: s.version, Declared: ourLicence, Purpose: "CONTAINER", Checksums: []checksum{{"SHA256", digest.Hex}},
	})
	host := d.add(contains, image, ours("wasmloop", s.version, p.binary))
	d.add(dependsOn, host, goModule("stdlib", info.GoVersion[len("go"):]))
	for _, module := range info.Deps {
		module = replaced(module)
		d.add(dependsOn, host, goModule(module.Path, module.Version))
	}
	d.add(contains, image, ours(sampleModule+".wasm", s.version, p.sample))
	version, err := ownDependency(certificates)
	if err != nil {
		return nil, err
	}
	d.add(contains, image, goModule(certificates, version))
	encoded, err := json.MarshalIndent(d, "", "  ")
	return append(encoded, '\n'), err
}

// add adds a package, which has a relationship to another, and returns its ID.
func (d *document) add(kind, to string, p *spdxPackage) string {
	p.ID = "SPDXRef-" + noID.ReplaceAllString(p.Name+"-"+p.Version, "-")
	p.DownloadLocation, p.Concluded, p.Copyright = unstated, unstated, unstated
	if p.Declared == "" {
		p.Declared = unstated
	}
	d.Packages = append(d.Packages, *p)
	d.Relationships = append(d.Relationships, relationship{to, kind, p.ID})
	return p.ID
}

// noID is what an SPDX ID may not have.
var noID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// ours returns a package for a file that this repository is the source of.
func ours(name, version string, content []byte) *spdxPackage {
	sum := sha256.Sum256(content)
	p := goModule(ourModule, "v"+version)
	p.Name, p.Version, p.Declared, p.Purpose = name, version, ourLicence, application
	p.Checksums = []checksum{{"SHA256", hex.EncodeToString(sum[:])}}
	return p
}

func goModule(path, version string) *spdxPackage {
	return &spdxPackage{
		Name: path, Version: version, References: []externalRef{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}},
	}
}

func replaced(module *debug.Module) *debug.Module {
	if module.Replace != nil {
		return module.Replace
	}
	return module
}

// ownDependency returns the version of a Go module that this program is linked with.
func ownDependency(path string) (string, error) {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range info.Deps {
			if module.Path == path {
				return replaced(module).Version, nil
			}
		}
	}
	return "", fmt.Errorf("the version of %s is not known: build this program with Go modules", path)
}
