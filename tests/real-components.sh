#!/usr/bin/env bash
# The real engines, registries and tools that tests use: which they are, which are missing, how they are installed.
# This is the one list of them. Debian's packages; no service is started by installing.
#
#   tests/real-components.sh list      the packages
#   tests/real-components.sh missing   the packages whose command is not there
#   tests/real-components.sh install   installs what is missing (root)
#   tests/real-components.sh prepare   what `make test` calls: in CI as root it installs, elsewhere it says what is missing
set -euo pipefail

# package: a command or file that it brings
COMPONENTS="
docker.io:/usr/sbin/dockerd
containerd:/usr/bin/ctr
runc:/usr/sbin/runc
crun:/usr/bin/crun
docker-registry:/usr/bin/docker-registry
skopeo:/usr/bin/skopeo
buildah:/usr/bin/buildah
podman:/usr/bin/podman
iproute2:/sbin/tc
iptables:/usr/sbin/iptables
nftables:/usr/sbin/nft
openssh-client:/usr/bin/ssh-add
nginx-light:/usr/sbin/nginx
faketime:/usr/bin/faketime
busybox-static:/bin/busybox
bzip2:/usr/bin/bzip2
xz-utils:/usr/bin/xz
zstd:/usr/bin/zstd
debootstrap:/usr/sbin/debootstrap
umoci:/usr/bin/umoci
systemd:/usr/bin/systemd-analyze
procps:/bin/ps
curl:/usr/bin/curl
"

list() { for line in $COMPONENTS; do echo "${line%%:*}"; done; }

missing() { for line in $COMPONENTS; do [ -e "${line#*:}" ] || echo "${line%%:*}"; done; }

install_command() { echo "apt-get update && apt-get install -y --no-install-recommends $(echo $*)"; }

# Debian's packages start their services on installation unless policy-rc.d says no: say no for as long as this takes.
keep_services_stopped() {
    local policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
}

install() {
    local packages
    packages=$(missing)
    if [ -z "$packages" ]; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "root on Debian is needed to install: $(echo $packages)" >&2
        return 1
    fi
    keep_services_stopped
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o Acquire::Retries=3 update -qq
    # shellcheck disable=SC2086
    apt-get -o Acquire::Retries=3 install -y -qq --no-install-recommends $packages > /dev/null
}

prepare() {
    local packages
    packages=$(missing)
    if [ -z "$packages" ]; then return; fi
    if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ]; then
        install
    else
        echo "Real components are missing ($(echo $packages)), so tests that need them are skipped. To install them, as root on Debian:"
        echo "  $(install_command $packages)"
    fi
}

case "${1:-}" in
    list | missing | install | prepare) "$1" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
