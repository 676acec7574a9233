# Names and small helpers that the scripts beside this file share. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2034  # most names here are read by the scripts that source this file

PATH=$PATH:/usr/sbin:/sbin # not everyone's has them
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${KUBERNETES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubernetes-1.20}
BIN=$CACHE/bin
RUN=${KUBERNETES_RUN:-${TMPDIR:-/tmp}/alcove-kubernetes}
RUN=${RUN%/}
PORT=${KUBERNETES_PORT:-6443} # of the API, on 127.0.0.1, in the root network namespace and in the cluster's

KUBERNETES=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
COMPONENTS=(containerd etcd relay-in relay-out "${KUBERNETES[@]}")

NODE=node1
NODE_IP=10.200.0.1
NODE_NET=10.200.0.0/24
POD_NET=10.244.0.0/24
SERVICE_NET=10.96.0.0/16
API_SERVICE_IP=10.96.0.1 # the first of SERVICE_NET, as kube-apiserver chooses it
# In each of the machine's cgroup trees: v1 has one for each controller, v2 one for all. A tree can be mounted in
# several places (containers, chroots): the first that leads there is taken.
mapfile -t CGROUPS < <(awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts | while read -r d; do
  printf '%s %s\n' "$(stat -c %d:%i "$d" 2>/dev/null || echo none)" "$d/alcove-kubernetes"
done | sort -s -u -k1,1 | sed '/^none /d; s/^[^ ]* //')

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
need_root() { ((EUID == 0)) || die "has to run as root: it makes namespaces and cgroups"; }

# What runs is recorded as a process group in RUN/pids. A number that is left from before a reboot may meanwhile be
# another's: so the leader's command line has to name the run folder before anything is sent to the group.
group() { # NAME: prints its process group, if it is there and ours
  local g
  g=$(cat "$RUN/pids/$1" 2>/dev/null) || return 1
  tr '\0' ' ' 2>/dev/null <"/proc/$g/cmdline" | grep -qF "$RUN/" || return 1
  printf '%s' "$g"
}
running() { group "$1" >/dev/null; }
gone() { ! pgrep -g "$1" -r D,I,R,S,T,t >/dev/null; } # GROUP: ended, or ended and not yet taken note of (Z)
within() {                                            # SECONDS COMMAND...: tries until it succeeds or the time is over
  local until=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@"; do
    ((${EPOCHREALTIME/[.,]/} < until)) || return 1
    sleep 0.1
  done
}

# Process 1 of the cluster's namespaces, as the root process namespace numbers it.
init_pid() { pgrep -P "$(group init)" -x pause; }
up() { running init && init_pid >/dev/null; }
need_up() { up || die "no cluster runs in $RUN (up.sh starts one; KUBERNETES_RUN names another run folder)"; }
inside() { nsenter --target "$(init_pid)" --mount --net --pid -- "$@"; }

start() { # COMPONENT: runs RUN/cmd/COMPONENT in a session of its own
  local where=()
  [[ $1 == relay-out ]] || where=(nsenter --target "$(init_pid)" --mount --net --pid --)
  setsid "${where[@]}" "$RUN/cmd/$1" >>"$RUN/log/$1.log" 2>&1 </dev/null &
  echo $! >"$RUN/pids/$1"
  within 2 running "$1" || true # until then it is a copy of this shell
}
stop() { # COMPONENT SIGNAL SECONDS: and SIGKILL after that
  local g
  g=$(group "$1") || return 0
  kill "-$2" -- "-$g" 2>/dev/null || true
  kill -CONT -- "-$g" 2>/dev/null || true # a frozen one takes no other signal
  within "$3" gone "$g" || kill -KILL -- "-$g" 2>/dev/null || true
  within 5 gone "$g" || die "$1 does not end (process group $g)"
  rm -f "$RUN/pids/$1"
}

kubectl() { "$BIN/kubectl" --kubeconfig "$RUN/admin.kubeconfig" "$@"; }
