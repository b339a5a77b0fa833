#!/usr/bin/env bash
# prometheus.sh FOLDER puts Prometheus and promtool into a folder: those of this machine, or else Debian's, which needs no root but
# for the list of packages.
set -euo pipefail
folder=${1:?give the folder to put them into}
mkdir -p "$folder"
if command -v prometheus promtool >/dev/null; then
  for program in prometheus promtool; do
    ln -sf "$(command -v "$program")" "$folder/$program"
  done
  exit 0
fi
if ! command -v apt-get dpkg-deb >/dev/null; then
  echo 'prometheus: the tests run Prometheus, which is missing: put prometheus and promtool on the PATH' >&2
  exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
cd "$scratch"
if ! apt-get download --quiet prometheus >/dev/null 2>"$scratch/why"; then
  if ((EUID != 0)) || ! { apt-get update --quiet && apt-get download --quiet prometheus; } >"$scratch/why" 2>&1; then
    cat "$scratch/why" >&2
    echo 'prometheus: the tests run Prometheus, which cannot be fetched: put prometheus and promtool on the PATH' >&2
    exit 1
  fi
fi
dpkg-deb --extract prometheus_*.deb unpacked
mv unpacked/usr/bin/prometheus unpacked/usr/bin/promtool "$folder"
