#!/usr/bin/env bash
# build.sh DIR builds localplane and pause into the folder DIR, with links named after the components, so that DIR serves as
# KUBEBUILDER_ASSETS. It does nothing when DIR holds what these sources build. An interrupted build changes nothing there.
set -euo pipefail

out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

sources() { printf '%s\n' ./*.go pause/*.go go.mod go.sum build.sh | grep -v '_test\.go$'; }
stamp=$(
  {
    go env GOVERSION GOOS GOARCH
    sources | xargs cat
  } | git hash-object --stdin
)
if [[ -x $out/localplane && $(cat "$out/.stamp" 2>/dev/null) == "$stamp" ]]; then
  exit 0
fi

# The one place that knows the Kubernetes version is go.mod. A build that is not stamped with it calls itself
# v0.0.0-master+$Format, which kubectl cannot parse.
ldflags() {
  local version date minor package
  read -r version date < <(go list -m -f '{{.Version}} {{.Time.Format "2006-01-02T15:04:05Z"}}' k8s.io/kubernetes)
  minor=${version#v*.}
  printf -- '-s -w'
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- " -X $package.%s" "gitVersion=$version" "gitMajor=${version:1:1}" "gitMinor=${minor%%.*}" \
      gitTreeState=clean "buildDate=$date"
  done
}

work=$(mktemp -d "$out/.build-XXXXXX")
builder=
cleanup() {
  # The compilers are in the process group that `set -m` gave the build, and end with it.
  if [[ -n $builder ]] && kill -TERM -- "-$builder" 2>/dev/null; then
    wait "$builder" || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

count() { grep -c "$@" "$work/log" || true; }
# report prints the build's progress every 15 seconds, so that seven silent minutes do not look like a hang.
report() {
  for ((elapsed = 15; ; elapsed += 15)); do
    for _ in {1..15}; do
      sleep 1
      kill -0 "$builder" 2>/dev/null || return 0
    done
    printf 'localplane: %d:%02d  %d modules fetched, %d packages compiled\n' \
      $((elapsed / 60)) $((elapsed % 60)) "$(count '^go: downloading ')" "$(count -v '^go: ')"
  done
}

components=(etcd kube-apiserver kube-controller-manager kubectl)
if [[ $(go env GOOS) == linux ]]; then
  components+=(kubelet kube-scheduler kube-proxy coredns) # node_linux.go has them
fi

echo "localplane: building ${components[*]} into ${1}"
echo "localplane: the first time this takes about 7 minutes on 2 cores and 3 GB of Go's build cache; later about 10 seconds"
started=$SECONDS
flags=$(ldflags)
set -m
GOTMPDIR=$work CGO_ENABLED=0 go build -v -trimpath -ldflags "$flags" -o "$work/" . ./pause 2>"$work/log" &
builder=$!
set +m
report
if ! wait "$builder"; then
  builder=
  grep -v -e '^go: downloading ' -e '^[[:alnum:]./_-]*$' "$work/log" >&2 || tail -n 20 "$work/log" >&2
  echo "localplane: cannot build" >&2
  exit 1
fi
builder=

# The stamp goes first and comes last: whatever happens in between, the next run starts over.
rm -f "$out/.stamp"
mv "$work/localplane" "$work/pause" "$out"
for component in "${components[@]}"; do
  ln -sf localplane "$out/$component"
done
echo "$stamp" >"$out/.stamp"
echo "localplane: built in $((SECONDS - started)) seconds"
