#!/bin/bash
# Builds Alcove's image without a Docker daemon, from a binary that was built on this machine (Debian 12): the same
# content as the Dockerfile's. build.sh NAME:TAG ARCHIVE [BINARY]
# BINARY: unless given, build/release/alcove is built. Needs binutils, ca-certificates, jq.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
(($# == 2 || $# == 3)) || { echo "usage: build.sh NAME:TAG ARCHIVE [BINARY]" >&2; exit 1; }
name=$1 archive=$2 binary=${3:-}
if [[ -z $binary ]]; then
  (cd "$here/../../.." && cmake --preset release -Wno-dev >/dev/null && cmake --build --preset release --target alcove)
  binary=$here/../../../build/release/alcove
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
"$here/root.sh" "$binary" "$root"
"$here/pack.sh" "$name" "$root" '{"Entrypoint": ["/usr/bin/alcove"], "User": "65532:65532", "ExposedPorts": {"8080/tcp": {}, "8081/tcp": {}}}' "$archive"
echo "$archive: $name, $(du -h --apparent-size "$archive" | cut -f1)"
