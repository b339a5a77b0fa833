# Everything here needs Go, git and make alone, and is built from the Go module proxy, but for `make generate` and `make check`, which need npm,
# and `make test`, which needs Prometheus: the machine's, or Debian's, which it fetches.

# Tools, pinned. Each is built once into bin/tools. The Kubernetes version is in deploy/localplane/go.mod.
GOLANGCI_LINT_VERSION := v2.15.0
WABT_VERSION          := 1.0.39
HELM_VERSION          := v4.3.1
HELM_UNITTEST_VERSION := v1.1.2
HELM_DOCS_VERSION     := v1.14.2
GORELEASER_VERSION    := v2.16.0

GO       ?= go
TOOLS    := $(CURDIR)/bin/tools
FUZZTIME ?= 10s

CHART := deploy/charts/wasmloop
HELM  := $(TOOLS)/helm-$(HELM_VERSION)
# The tests of the chart run the same Helm.
export WASMLOOP_HELM := $(HELM)
# Those of the metrics run Prometheus: this machine's, or Debian's.
export WASMLOOP_PROMETHEUS := $(TOOLS)/prometheus

# The image that is built, and its tag: the one that the chart runs by default.
IMAGE   ?= ghcr.io/wasmloop/wasmloop
VERSION ?= $(shell sed -n 's/^appVersion: //p' $(CHART)/Chart.yaml)

# The control plane's binaries: those of KUBEBUILDER_ASSETS when that folder has all three, or else our own.
BUILT_ASSETS := $(CURDIR)/bin/assets
GIVEN_ASSETS := $(and $(wildcard $(KUBEBUILDER_ASSETS)/etcd),$(wildcard $(KUBEBUILDER_ASSETS)/kube-apiserver),$(wildcard $(KUBEBUILDER_ASSETS)/kube-controller-manager),$(KUBEBUILDER_ASSETS))
export KUBEBUILDER_ASSETS := $(or $(GIVEN_ASSETS),$(BUILT_ASSETS))

# k8s.io/kubernetes takes minutes to compile and shares nothing with a build under other flags, so all of them agree.
LOCALPLANE_GO := cd deploy/localplane && CGO_ENABLED=0 GOFLAGS=-trimpath $(GO)

# The tests with cosign's library, which is as large as all else, are a Go module of their own.
COSIGN_GO := cd host/test/cosign && $(GO)

# install builds a tool, its first argument, whose binary has the name of the second, under the name of the target.
install = GOBIN=$(TOOLS) GOFLAGS= $(GO) install $(1) && mv $(TOOLS)/$(2) $@

# Each folder under modules that has Go source is a module.
MODULES := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard modules/*/*.go)))))
WASM    := $(foreach name,$(MODULES),modules/$(name)/$(name).wasm)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run build wasmloop modules guests assets image cluster cluster-images test-cluster tools chart chart-package release-dry-run test test-long fuzz bench bench-cluster bench-watching check lint tidy-check generate-check fmt generate clean

##@ Use it

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: build assets ## Run the sample modules against a control plane on this machine, until Ctrl-C
	@bin/wasmloop run --local --config config/wasmloop.yaml --crd config/crd --apply config/samples

##@ Build

build: wasmloop modules ## Build bin/wasmloop and the sample modules

wasmloop:
	$(GO) build -trimpath -o bin/wasmloop ./host/cmd/wasmloop

modules: $(WASM) ## Build modules/NAME/NAME.wasm for each sample module

sources = $(shell find $(1) -type f ! -name '*_test.go' ! -name '*.wasm' ! -name '*.md')

define module_rule
modules/$(1)/$(1).wasm: $(call sources,modules/$(1) sdk) go.mod
	GOOS=wasip1 GOARCH=wasm $(GO) build -buildmode=c-shared -trimpath -ldflags "-s -w" -o $$@ ./modules/$(1)
	@touch $$@
endef
$(foreach name,$(MODULES),$(eval $(call module_rule,$(name))))

guests: ## Build the tests' guests in Rust, C and AssemblyScript anew; says what to install
	@$(MAKE) --no-print-directory -C host/internal/guest/testdata/guests

assets: ## Build the control plane into bin/assets: about 7 minutes, the first time only
ifeq ($(GIVEN_ASSETS),)
	@deploy/localplane/build.sh bin/assets
else
	@echo "assets: using those in $(GIVEN_ASSETS)"
endif

# The tests' cluster takes the image for this machine's processor alone, and another version of it to go over to.
cluster-images:
	$(MAKE) --no-print-directory image IMAGE_FLAGS='--platforms linux/$(shell $(GO) env GOARCH) --out dist/cluster'
	$(MAKE) --no-print-directory image IMAGE_FLAGS='--platforms linux/$(shell $(GO) env GOARCH) --out dist/cluster-next' VERSION=$(VERSION)-next

cluster: build $(HELM) cluster-images ## Run a Kubernetes cluster with a real node on this machine, until Ctrl-C: as root, on Linux
	@host/test/cluster/install.sh
	@deploy/localplane/build.sh bin/assets
	$(GO) build -trimpath -o bin/cluster ./host/test/cluster
	@KUBEBUILDER_ASSETS=$(BUILT_ASSETS) bin/cluster --image dist/cluster/wasmloop-linux-$(shell $(GO) env GOARCH).tar

image: ## Build the host's image below dist/image, for amd64 and arm64; needs no Docker
	$(GO) build -trimpath -buildvcs=false -o bin/image ./deploy/image/build
	bin/image --name $(IMAGE) --version $(VERSION) $(IMAGE_FLAGS)

chart-package: $(HELM) ## Pack the Helm chart into dist/chart
	@mkdir -p dist/chart
	$(HELM) package $(CHART) --destination dist/chart

release-dry-run: $(TOOLS)/goreleaser-$(GORELEASER_VERSION) image chart-package ## Make all that a release has, below dist/release, and publish nothing
	$< check
	$< release --snapshot --clean

##@ Test

test: build assets $(HELM) $(WASMLOOP_PROMETHEUS)/promtool ## Run all tests, against a real control plane
	$(GO) test -timeout 30m ./...
	$(LOCALPLANE_GO) test ./...
	$(COSIGN_GO) test ./...

test-cluster: build $(HELM) cluster-images ## Install the chart and the image in a cluster with a real node: as root, on Linux; says so where it cannot
	@host/test/cluster/install.sh || echo 'cluster: what the node runs is not installed'
	@deploy/localplane/build.sh bin/assets
	KUBEBUILDER_ASSETS=$(BUILT_ASSETS) $(GO) test -count=1 -timeout 20m -v ./host/test/cluster -real

test-long: build assets $(HELM) $(WASMLOOP_PROMETHEUS)/promtool ## Run all tests with the race detector, crash the host in more ways, and fuzz for longer
	$(GO) test -race -count=1 -timeout 60m ./...
	$(GO) test -count=1 -timeout 60m -run LeaveNothingBehind ./host/internal/guest -calls 100000
	$(GO) test -count=1 -timeout 60m ./host/test/crash -long -seeds 400
	$(GO) test -count=1 -timeout 30m -run TestKills ./host/test/e2e -kills 100
	$(GO) test -count=1 -timeout 60m -run TestSwapsUnderLoad -v ./host/test/e2e -swaps 100 -loaded 1000
	$(MAKE) fuzz FUZZTIME=2m

fuzz: build ## Run each fuzz target for FUZZTIME (10s)
	@grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' host sdk | while IFS=: read -r file func; do \
		$(GO) test -run '^$$' -fuzz "^$${func#func }$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" </dev/null || exit 1; \
	done

bench: build assets bench-cluster bench-watching ## Run the benchmarks: the sandbox, the host beside a native controller, and what watching costs
	$(GO) test -run '^$$' -bench . -benchmem ./host/internal/guest/... ./host/test/bench/... ./modules/...

# What cluster runs: both contenders and the guest of one of them.
bench-cluster: wasmloop assets
	@mkdir -p bin/bench
	$(GO) build -trimpath -o bin/bench/ ./host/test/bench/native ./host/test/bench/cluster
	GOOS=wasip1 GOARCH=wasm $(GO) build -buildmode=c-shared -trimpath -ldflags "-s -w" -o bin/bench/bench.wasm ./host/test/bench/testdata/module
	cp bin/wasmloop host/test/bench/testdata/*.yaml bin/bench/
	cp $(addprefix host/internal/guest/testdata/,loop_always.wasm grow_forever.wasm recursion_exponential.wasm) bin/bench/
	bin/bench/cluster $(BENCHFLAGS)

# What watching runs: the host with its guest, and what its memory is measured against.
bench-watching: wasmloop assets
	@mkdir -p bin/bench
	$(GO) build -trimpath -o bin/bench/ ./host/test/bench/unstructured ./host/test/bench/watching
	GOOS=wasip1 GOARCH=wasm $(GO) build -buildmode=c-shared -trimpath -ldflags "-s -w" -o bin/bench/follower.wasm ./host/test/bench/testdata/follower
	cp bin/wasmloop bin/bench/
	bin/bench/watching $(WATCHFLAGS)

##@ Keep it in order

check: lint chart tidy-check generate-check ## Check format, lint, the chart, module files and generated files

tools: $(HELM) $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION) $(TOOLS)/helm-unittest-$(HELM_UNITTEST_VERSION) $(TOOLS)/helm-docs-$(HELM_DOCS_VERSION) ## Build the tools that tests and checks need

# The values of each file are those that somebody would give, and the schema is strict.
chart: $(HELM) $(TOOLS)/helm-unittest-$(HELM_UNITTEST_VERSION) ## Check the Helm chart: lint, unit tests
	@for values in $(CHART)/ci/*.yaml; do echo "helm lint --strict --values $$values"; $(HELM) lint --strict --quiet $(CHART) --values $$values || exit 1; done
	$(TOOLS)/helm-unittest-$(HELM_UNITTEST_VERSION) --strict $(CHART)

# localplane and the cosign tests are formatted and vetted only: linters would analyse all of Kubernetes and cosign with them.
lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)
	$< run ./...
	$< fmt --diff deploy/localplane host/test/cosign
	$(LOCALPLANE_GO) vet ./...
	$(COSIGN_GO) vet ./...

tidy-check:
	$(GO) mod tidy -diff
	cd deploy/localplane && $(GO) mod tidy -diff
	$(COSIGN_GO) mod tidy -diff

# Whatever is not committed yet is no fault: only what generating changes is.
tree_state = { git diff HEAD; git ls-files --others --exclude-standard | git hash-object --stdin-paths; } | git hash-object --stdin

generate-check:
	@before=$$($(tree_state)); $(MAKE) --no-print-directory generate && after=$$($(tree_state)) && \
		if [ "$$before" != "$$after" ]; then \
			echo 'check: generated files were not up to date: they are now, look at git diff' >&2; exit 1; \
		fi

fmt: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION) ## Format all Go files
	$< fmt ./... deploy/localplane host/test/cosign

generate: $(TOOLS)/wabt-$(WABT_VERSION) $(TOOLS)/helm-docs-$(HELM_DOCS_VERSION) ## Write all generated files anew (the fixtures need npm)
	$(GO) generate ./...
	$(TOOLS)/helm-docs-$(HELM_DOCS_VERSION) --log-level warning --chart-search-root deploy/charts --sort-values-order file
	NODE_PATH=$</node_modules node host/internal/guest/testdata/wat2wasm.js host/internal/guest/testdata/*.wat

clean: ## Remove what builds and runs leave, except the control plane and tools, which take minutes to build
	rm -rf bin/wasmloop bin/image dist .wasmloop $(WASM)

$(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	@echo 'tools: building golangci-lint $(GOLANGCI_LINT_VERSION), which takes a few minutes the first time'
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION),golangci-lint)

# Helm asks its own version of a chart's kubeVersion and of itself.
$(HELM):
	@echo 'tools: building Helm $(HELM_VERSION), which takes a few minutes the first time'
	$(call install,-ldflags '-s -w -X helm.sh/helm/v4/internal/version.version=$(HELM_VERSION)' helm.sh/helm/v4/cmd/helm@$(HELM_VERSION),helm)

$(WASMLOOP_PROMETHEUS)/promtool:
	host/test/prometheus.sh $(@D)

# Its go.mod has replace directives, with which go install takes no package.
$(TOOLS)/helm-unittest-$(HELM_UNITTEST_VERSION):
	cd "$$($(GO) mod download -json github.com/helm-unittest/helm-unittest@$(HELM_UNITTEST_VERSION) | sed -n 's/^\t"Dir": "\(.*\)",*$$/\1/p')" && \
		GOFLAGS= $(GO) build -trimpath -o $@ ./cmd/helm-unittest

$(TOOLS)/helm-docs-$(HELM_DOCS_VERSION):
	$(call install,github.com/norwoodj/helm-docs/cmd/helm-docs@$(HELM_DOCS_VERSION),helm-docs)

$(TOOLS)/goreleaser-$(GORELEASER_VERSION):
	@echo 'tools: building goreleaser $(GORELEASER_VERSION), which takes many minutes the first time'
	$(call install,github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION),goreleaser)

$(TOOLS)/wabt-$(WABT_VERSION):
	npm install --silent --no-audit --no-fund --no-save --prefix $@.tmp wabt@$(WABT_VERSION)
	mv $@.tmp $@
