# The groups of tests and the soaks, for ./dev, which reads this in and has what is not defined here.
# shellcheck shell=bash

PASSED=0 FAILED=0 SKIPPED=0
SUMMARY=()

# count NAME PASSED FAILED SKIPPED [WHY]
count() {
  PASSED=$((PASSED + $2)) FAILED=$((FAILED + $3)) SKIPPED=$((SKIPPED + $4))
  local mark=ok
  [ "$3" = 0 ] || mark=FAILED
  [ -z "${5:-}" ] || mark=$5
  SUMMARY+=("$(printf '  %-12s %5d passed  %3d failed  %3d skipped  %4d s  %s' "$1" "$2" "$3" "$4" $((SECONDS - STARTED)) "$mark")")
}

# count_report NAME FILE EXIT_CODE: from a JUnit report. No report, or an error beside the tests, is a failure too.
count_report() {
  local counts
  counts=$("$PYTHON" tests/support/junit_counts.py "$2" "$3") || counts="0 1 0"
  # shellcheck disable=SC2086
  count "$1" $counts
}

pytest() {
  "$PYTHON" -m pytest -p no:cacheprovider "$@"
}

group_layers() {
  local code=0 report=build/reports/layers.xml
  say "layers: do the includes follow the arrows?"
  pytest -q tests/layers --junitxml="$report" || code=$?
  count_report layers "$report" "$code"
}

sources() {
  find . -path ./build -prune -o -path './.*' -prune -o \( -name '*.cpp' -o -name '*.hpp' \) -print | sort
}

group_format() {
  say "format: is every source as clang-format writes it?"
  local file good=0 bad=0
  while read -r file; do
    if clang-format-14 --dry-run --Werror "$file" >/dev/null 2>&1; then
      good=$((good + 1))
    else
      bad=$((bad + 1))
      echo "  not formatted: $file"
    fi
  done < <(sources)
  echo "  $good formatted, $bad not (./dev fmt formats them)"
  count format "$((bad == 0))" "$((bad > 0))" 0
}

# Against the page too: docs/model.md must say what this run says (tests/model/report.py writes it).
group_model() {
  local code=0 report=build/reports/model.xml
  say "model: the session protocol, checked by machine"
  pytest -v tests/model --junitxml="$report" "$@" || code=$?
  count_report model "$report" "$code"
}

group_unit() {
  local code=0 report=build/reports/unit.xml
  build asan || { count unit 0 1 0; return 0; }
  say "unit: unit and contract tests, with AddressSanitizer and UndefinedBehaviorSanitizer"
  ctest --test-dir build/asan -j "$(nproc)" --output-on-failure --no-tests=error --output-junit "$PWD/$report" "$@" ||
    code=$?
  count_report unit "$report" "$code"
}

# Half of it is waiting, so two files at once.
group_flow() {
  local code=0 report=build/reports/flow.xml
  build asan alcove alcove-demo || { count flow 0 1 0; return 0; }
  say "flow: the real binary with real clients, apps, Redis and a browser"
  ALCOVE_BIN=$PWD/build/asan/alcove pytest -v -n 2 --dist loadfile tests/flow --junitxml="$report" "$@" || code=$?
  count_report flow "$report" "$code"
}

# Most of it is waiting, so several files at once. A run of all of it writes the table of what is proven.
group_conformance() {
  local code=0 report=build/reports/conformance.xml
  build asan alcove || { count conformance 0 1 0; return 0; }
  say "conformance: the rules of HTTP between raw sockets, over TCP and TLS"
  ALCOVE_BIN=$PWD/build/asan/alcove pytest -q -n 4 --dist loadfile tests/conformance --junitxml="$report" "$@" || code=$?
  [ $# -gt 0 ] || "$PYTHON" tests/conformance/table.py "$report" || code=$?
  count_report conformance "$report" "$code"
}

group_fuzz() {
  local code=0 report=build/reports/fuzz.xml
  build fuzz fuzzers || { count fuzz 0 1 0; return 0; }
  say "fuzz: corpora and regressions, and a few seconds of fuzzing, with clang's libFuzzer"
  "$PYTHON" tests/fuzz/run.py short --junitxml "$report" || code=$?
  count_report fuzz "$report" "$code"
}

# ThreadSanitizer makes builds and runs slow, so only what has threads: the memory store, which all threads share,
# the access log's writer, the gateway with several workers, and the client of the Kubernetes API.
group_threads() {
  local code=0 report=build/reports/threads.xml
  build tsan alcove alcove-demo test_store test_store_contract test_redis_store test_proxy_parts test_gateway \
    test_unit_k8s ||
    { count threads 0 1 0; return 0; }
  say "threads: unit and contract tests of what is threaded, with ThreadSanitizer"
  ctest --test-dir build/tsan -j "$(nproc)" --output-on-failure --no-tests=error --output-junit "$PWD/$report" \
    -R '[Ss]tore|[Aa]ccess|[Mm]etrics|[Hh]old|[Gg]ateway|[Ww]orker|ApiClient|Informer|KubernetesRuntime' || code=$?
  count_report threads "$report" "$code"
  code=0 report=build/reports/threads-flow.xml STARTED=$SECONDS
  say "threads: the gateway's flow, with ThreadSanitizer"
  ALCOVE_BIN=$PWD/build/tsan/alcove pytest -v tests/flow -m threads --junitxml="$report" "$@" || code=$?
  count_report threads-flow "$report" "$code"
}

# Most of it is waiting, so several files at once; but what compares latencies runs alone.
group_faults() {
  local code=0 alone=0 report=build/reports/faults
  settle_cluster_build
  build asan alcove alcove-demo eviction_rounds || { count faults 0 1 0; return 0; }
  say "faults: whatever Alcove stands on breaks, under load (15 minutes at the most)"
  local -x ALCOVE_BIN=$PWD/build/asan/alcove
  timeout 600 "$PYTHON" -m pytest -p no:cacheprovider -v -n 4 --dist loadfile -m "not alone" tests/faults \
    --junitxml="$report.xml" "$@" || code=$?
  timeout 300 "$PYTHON" -m pytest -p no:cacheprovider -v -m alone tests/faults --junitxml="$report-alone.xml" "$@" || alone=$?
  # 5: no test is what the arguments ask for; one of the two may have it.
  [ "$code$alone" = 55 ] || { code=${code/#5/0} alone=${alone/#5/0}; }
  count_report faults "$report.xml" "$code"
  count_report faults-alone "$report-alone.xml" "$alone"
}

# Sanitizers would be what is measured here, so the release binary.
group_endurance() {
  local code=0 report=build/reports/endurance.xml
  build release alcove || { count endurance 0 1 0; return 0; }
  say "endurance: the release binary under load and under slow clients"
  ALCOVE_BIN=$PWD/build/release/alcove pytest -v -rP tests/endurance --junitxml="$report" "$@" || code=$?
  count_report endurance "$report" "$code"
}

# Kubernetes is compiled once, which takes both CPUs some minutes. A run of all groups begins it at the start, with what CPU
# time the first groups leave (SCHED_IDLE), and waits for the rest of it before faults, the first group that measures.
CLUSTER_BUILD= CLUSTER_BUILD_FAILED=
begin_cluster_build() {
  local cluster=tests/kubernetes/cluster
  "$cluster/possible.sh" >/dev/null && ! "$cluster/built.sh" || return 0
  # Beside our own compilers it needs memory of its own; where there is little, its group builds it alone.
  [ "$(awk '/^MemAvailable/ {print $2}' /proc/meminfo)" -ge 8000000 ] || return 0
  say "kubernetes: the cluster is built beside the first groups (build/reports/cluster-build.log)"
  # A session of its own, to end all of it at once. Linux gives each session its share (autogroup), whatever its
  # processes are content with: so the session is told to be content too.
  setsid bash -c 'echo 19 >/proc/self/autogroup; exec chrt --idle 0 "$1"' - "$cluster/build.sh" \
    >build/reports/cluster-build.log 2>&1 &
  CLUSTER_BUILD=$!
  trap end_cluster_build EXIT
}
settle_cluster_build() {
  [ -n "$CLUSTER_BUILD" ] || return 0
  say "kubernetes: the rest of the cluster's build"
  if ! wait "$CLUSTER_BUILD"; then
    CLUSTER_BUILD_FAILED=1
    tail -n 20 build/reports/cluster-build.log
  fi
  CLUSTER_BUILD=
  trap - EXIT
  STARTED=$SECONDS
}
end_cluster_build() {
  kill -- "-$CLUSTER_BUILD" 2>/dev/null || true
}

# A real Kubernetes on this machine, built once and kept in the user's cache folder (tests/kubernetes/cluster). One that is
# up already is used and left up; one that was brought up here goes down again, however this ends.
group_kubernetes() {
  local code=0 report=build/reports/kubernetes.xml cluster=tests/kubernetes/cluster why mine=1 minutes=14
  if ! why=$("$cluster/possible.sh"); then
    say "kubernetes: passed over, this machine cannot run the cluster: $why"
    count kubernetes 0 0 1 "passed over: $why"
    return 0
  fi
  if [ -n "$CLUSTER_BUILD_FAILED" ]; then
    say "kubernetes: the cluster could not be built (build/reports/cluster-build.log)"
    count kubernetes 0 1 0
    return 0
  fi
  # The whole run should stay well under an hour.
  "$cluster/built.sh" || minutes=20
  if [ -z "$NAMED" ] && [ $((SECONDS / 60 + minutes)) -gt 53 ]; then
    say "kubernetes: passed over, it takes $minutes minutes more: ./dev test kubernetes runs it"
    count kubernetes 0 0 1 "passed over for time: ./dev test kubernetes runs it"
    return 0
  fi
  build asan alcove alcove_test_pod test_runtime_contract test_api_contract && build release alcove ||
    { count kubernetes 0 1 0; return 0; }
  say "kubernetes: the cluster"
  ! "$cluster/exec.sh" true 2>/dev/null || mine=
  "$cluster/build.sh" || { count kubernetes 0 1 0; return 0; }
  [ -z "$mine" ] || trap end_kubernetes EXIT
  "$cluster/up.sh" || { count kubernetes 0 1 0; trap - EXIT; return 0; }
  say "kubernetes: contract, sessions, failures, faults and an installation on a real cluster (25 minutes at the most)"
  # Beside this shell, so that whoever ends the shell ends the tests too. On SIGTERM they put things in order and end.
  ALCOVE_BIN=$PWD/build/asan/alcove ALCOVE_RELEASE_BIN=$PWD/build/release/alcove timeout --kill-after=60 1500 \
    "$cluster/exec.sh" "$PYTHON" -m pytest -p no:cacheprovider -v -rP tests/kubernetes --junitxml="$report" \
    "$@" &
  KUBERNETES_TESTS=$!
  wait "$KUBERNETES_TESTS" || code=$?
  KUBERNETES_TESTS=
  count_report kubernetes "$report" "$code"
  [ -z "$mine" ] || "$cluster/down.sh" || count kubernetes 0 1 0
  trap - EXIT
}

NAMED=  # the groups were named, not just all of them wanted
KUBERNETES_TESTS=
end_kubernetes() {
  [ -z "$KUBERNETES_TESTS" ] || { kill "$KUBERNETES_TESTS" && wait "$KUBERNETES_TESTS"; } 2>/dev/null || true
  tests/kubernetes/cluster/down.sh || true
}

command_test() {
  local groups=() group begun=$SECONDS
  while [ $# -gt 0 ] && [[ " $GROUPS_OF_TESTS " == *" $1 "* ]]; do
    groups+=("$1")
    NAMED=1
    shift
  done
  if [ ${#groups[@]} = 0 ]; then
    [ $# = 0 ] || [[ $1 == -* ]] || die "there is no group of tests \"$1\": $GROUPS_OF_TESTS"
    [ $# = 0 ] || die "say which group \"$1\" is for: $GROUPS_OF_TESTS"
    # shellcheck disable=SC2206
    groups=($GROUPS_OF_TESTS)
  fi
  local packages="" name
  for group in "${groups[@]}"; do
    name=PACKAGES_$group
    packages+=" ${!name}"
  done
  # shellcheck disable=SC2086
  need $(printf '%s\n' $packages | sort -u)
  mkdir -p build/reports
  rm -f build/reports/*.xml
  [ -n "$NAMED" ] || begin_cluster_build
  for group in "${groups[@]}"; do
    STARTED=$SECONDS
    "group_$group" "$@"
  done
  say "summary, after $(((SECONDS - begun) / 60)) min $(((SECONDS - begun) % 60)) s"
  printf '%s\n' "${SUMMARY[@]}"
  if [ "$SKIPPED" -gt 0 ]; then
    echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
  else
    echo "$PASSED passed, $FAILED failed"
  fi
  [ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
}

# soak NAME MINUTES PYTEST_ARGUMENTS...
soak() {
  local name=$1 minutes=$2 code=0 report=build/reports/soak-$1.xml
  shift 2
  STARTED=$SECONDS
  say "soak $name: $minutes minutes at the most"
  ALCOVE_SOAK=1 ALCOVE_BIN=$PWD/build/release/alcove timeout "$((minutes * 60))" "$PYTHON" -m pytest \
    -p no:cacheprovider -v -rP --junitxml="$report" "$@" || code=$?
  count_report "soak-$name" "$report" "$code"
}

# The release binary: these run long, and ./dev test has the same tests, shorter, with the sanitizers.
command_soak() {
  local names=${*:-faults eviction herd} name
  for name in $names; do
    case $name in faults | eviction | herd) ;; *) die "there is no soak \"$name\": faults, eviction or herd" ;; esac
  done
  # shellcheck disable=SC2086
  need $PACKAGES_faults
  build release alcove alcove-demo eviction_rounds
  mkdir -p build/reports
  for name in $names; do
    case $name in
      faults) soak faults 30 -n 2 --dist loadfile tests/faults --ignore=tests/faults/test_herds.py \
        --ignore=tests/faults/test_eviction_rounds.py ;;
      eviction) soak eviction 20 tests/faults/test_eviction_rounds.py ;;
      herd) soak herd 10 tests/faults/test_herds.py ;;
    esac
  done
  "$PYTHON" tests/faults/table.py "./dev soak${*:+ $*}"
  say "summary"
  printf '%s\n' "${SUMMARY[@]}"
  [ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
}
