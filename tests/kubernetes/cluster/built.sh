#!/bin/bash
# Has build.sh been here? Exit 0 or 1.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

for part in kubectl pause "${KUBERNETES[@]}"; do [[ -x $BIN/$part ]] || exit 1; done
