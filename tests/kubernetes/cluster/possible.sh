#!/bin/bash
# Can the cluster be built and run on this machine? Exit 0, or 1 and why not, in one line.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

no() {
  printf '%s\n' "$*"
  exit 1
}
((EUID == 0)) || no "not root: the cluster needs namespaces and cgroups of its own"
. /etc/os-release
[[ ${VERSION_CODENAME:-} == bookworm ]] || no "not Debian 12, from whose packages the cluster is made"
unshare --mount --net --pid --fork true 2>/dev/null || no "this machine gives us no namespaces (unshare fails)"
((${#CGROUPS[@]})) || no "this machine has no cgroups mounted"
for d in "${CGROUPS[@]}"; do
  probe=${d%/*}/alcove-probe-$$
  mkdir "$probe" 2>/dev/null || no "${d%/*} does not let us make cgroups"
  rmdir "$probe"
done
if ! up; then
  ! ss -Hlnt "sport = :$PORT" 2>/dev/null | grep -q . || no "port $PORT is taken (KUBERNETES_PORT names another)"
  for d in "${CGROUPS[@]}"; do # what is left of our own run folder's cluster, after a crash or a reboot, up.sh clears away
    [[ ! -d $d || -d $RUN/pids ]] || no "another cluster of this kind runs here ($d is there)"
  done
fi
