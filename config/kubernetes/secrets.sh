#!/bin/bash
# Prints the Secrets that Alcove's manifests need, with new random keys: secrets.sh | kubectl apply -f -
# Again: all keys change; restart the roles afterwards (kubectl -n alcove rollout restart deployment).
#   alcove-redis   users.acl for Redis, and for each role its password
#   alcove-keys    admin-token for the admin listeners, cookie for the gateways' own sign-in
set -euo pipefail
(($# == 0)) || { echo "usage: secrets.sh | kubectl apply -f -" >&2; exit 1; }

key() { head -c 32 /dev/urandom | base64 -w0 | tr '+/' '-_' | tr -d =; }
declare -A password=([gateway]=$(key) [provisioner]=$(key) [reaper]=$(key) [api]=$(key))

# What the Lua scripts of store/scripts call, and nothing else: Redis checks it inside of scripts too. Only keys and the
# channel of the prefix "alcove" (store.redis.prefix).
common="reset on ~{alcove}:* &{alcove}:transitions +ping +subscribe +script|load +evalsha +time +get +set +incr +decr"
common+=" +hgetall +hset +llen +rpush +lrem +zadd +zrem +persist +pexpire +publish"
declare -A own=(
  [gateway]="+hmget +hdel +zscore +zrangebyscore +lpos +lrange"           # marks, beat, leave, place
  [provisioner]="+hmget +lindex +lmove +lpop +zcard +zrangebyscore +zrangebylex" # claim, renew, list
  [reaper]="+hget +hdel +zrange +zrangebyscore"                           # due, begin_stop
  [api]="+lpos +lrange +zrangebylex"                                      # list, place
)
users() {
  echo "user default reset"
  local role hash
  for role in gateway provisioner reaper api; do
    hash=$(printf %s "${password[$role]}" | sha256sum | cut -d' ' -f1)
    echo "user $role $common ${own[$role]} #$hash"
  done
}

cat <<END
apiVersion: v1
kind: Namespace
metadata:
  name: alcove
---
apiVersion: v1
kind: Secret
metadata:
  name: alcove-redis
  namespace: alcove
stringData:
  users.acl: |
$(users | sed 's/^/    /')
  gateway: ${password[gateway]}
  provisioner: ${password[provisioner]}
  reaper: ${password[reaper]}
  api: ${password[api]}
---
apiVersion: v1
kind: Secret
metadata:
  name: alcove-keys
  namespace: alcove
stringData:
  admin-token: $(key)
  cookie: $(key)
END
