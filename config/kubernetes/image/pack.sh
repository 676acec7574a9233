#!/bin/bash
# Packs a folder as a container image of one layer, without a Docker daemon: pack.sh NAME:TAG FOLDER CONFIG ARCHIVE
# CONFIG is a JSON object, the image's "config": {"Entrypoint": ["/app"], "User": "65532"}. `docker load`,
# `ctr images import` and `skopeo copy docker-archive:` read the archive. Needs jq.
set -euo pipefail
die() {
  printf 'pack.sh: %s\n' "$*" >&2
  exit 1
}
(($# == 4)) || die "usage: pack.sh NAME:TAG FOLDER CONFIG ARCHIVE"
name=$1 folder=$2 config=$3 archive=$4
[[ $name == *:* ]] || die "the image's name needs a tag: $name:1"
[[ -d $folder ]] || die "no folder $folder"
jq -e 'type == "object"' <<<"$config" >/dev/null 2>&1 || die "the config is not a JSON object: $config"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sum() { sha256sum "$1" | cut -d' ' -f1; }
# The same folder gives the same image, whoever packs it and whenever.
fixed=(--sort=name --owner=0 --group=0 --numeric-owner --mtime=@0)
tar "${fixed[@]}" -C "$folder" -cf "$work/layer.tar" .
jq -cn --argjson config "$config" --arg layer "sha256:$(sum "$work/layer.tar")" --arg arch "$(dpkg --print-architecture)" '{
  architecture: $arch, os: "linux", config: ({Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]} + $config),
  rootfs: {type: "layers", diff_ids: [$layer]}}' >"$work/config.json"
image=$(sum "$work/config.json").json
mv "$work/config.json" "$work/$image"
jq -cn --arg config "$image" --arg name "$name" '[{Config: $config, RepoTags: [$name], Layers: ["layer.tar"]}]' >"$work/manifest.json"
tar "${fixed[@]}" -C "$work" -cf "$archive" manifest.json "$image" layer.tar
