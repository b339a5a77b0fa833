#!/usr/bin/env bash
# install.sh installs what a node runs and this project does not build, if it is missing: containerd, runc, network plugins and
# tools. It needs root, and Debian or what descends from it; elsewhere it says what is missing, and fails.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

missing=()
need() { # need PACKAGE PROGRAM...: one of the programs must be there
  local package=$1
  shift
  command -v "$@" >/dev/null || missing+=("$package")
}
need containerd containerd
need runc runc
need iproute2 ip
need nftables nft
need util-linux nsenter
need containernetworking-plugins /usr/lib/cni/bridge /opt/cni/bin/bridge /usr/libexec/cni/bridge
if ((${#missing[@]} == 0)); then
  exit 0
fi
if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
  echo "install: what these Debian packages have is missing: ${missing[*]}: install it as root" >&2
  exit 1
fi
apt-get update --quiet
DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "${missing[@]}"
