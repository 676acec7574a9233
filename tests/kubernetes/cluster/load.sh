#!/bin/bash
# Puts an image onto the node from an archive, such as config/kubernetes/image/build.sh makes. load.sh ARCHIVE
# Pods use it with imagePullPolicy Never or IfNotPresent.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root
(($# == 1)) || die "usage: load.sh ARCHIVE"
need_up
ctr -a "$RUN/containerd.sock" -n k8s.io images import "$1" >"$RUN/log/image.log" 2>&1 ||
  { cat "$RUN/log/image.log" >&2; die "cannot import $1"; }
say "imported $1"
