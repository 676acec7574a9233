#!/bin/bash
# Makes the root folder of Alcove's image: root.sh BINARY FOLDER. Used by the Dockerfile and by build.sh, so that both
# make the same image. Needs binutils and ca-certificates.
#
# The binary with its shared libraries, not a static one: Debian has no static libraries of spdlog, fmt, prometheus-cpp,
# nor of what its libcurl needs (Kerberos, LDAP). ldd names exactly what is loaded; there is no shell, no package
# manager, no other program.
set -euo pipefail
(($# == 2)) || { echo "usage: root.sh BINARY FOLDER" >&2; exit 1; }
binary=$1 root=$2
certificates=/etc/ssl/certs/ca-certificates.crt
[[ -s $certificates ]] || { echo "root.sh: $certificates is missing (package ca-certificates)" >&2; exit 1; }

umask 022
mkdir -p "$root"/{etc/ssl/certs,usr/bin,usr/lib/ssl}
chmod 755 "$root" # mktemp's are for their owner only, and the image's user is another
strip -o "$root/usr/bin/alcove" "$binary"
chmod 755 "$root/usr/bin/alcove"

libraries=$(ldd "$binary" | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p')
[[ -n $libraries ]] || { echo "root.sh: ldd names no library of $binary" >&2; exit 1; }
for library in $libraries; do
  mkdir -p "$root${library%/*}"
  cp --dereference "$library" "$root$library"
  chmod 755 "$root$library"
done

cp "$certificates" "$root$certificates" # where libcurl looks
chmod 644 "$root$certificates"
ln -sf "$certificates" "$root/usr/lib/ssl/cert.pem" # and where OpenSSL does
echo 'alcove:x:65532:65532:Alcove:/:/sbin/nologin' >"$root/etc/passwd"
echo 'alcove:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
