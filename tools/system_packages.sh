#!/bin/sh
# Sees to it that the programs are there which the tests drive and pip cannot bring: a browser, and fonts for it, a
# PostgreSQL server, and systemd, whose own look the unit in deploy/ has to stand. As root on Debian it installs what is missing; elsewhere it
# says what is missing, with exit status 3, and the tests that need it fail.
set -eu

missing() {
    for browser in chromium chromium-browser google-chrome; do
        command -v "$browser" >/dev/null 2>&1 && found=$browser
    done
    [ -n "${found:-}" ] || echo chromium
    fc-list 2>/dev/null | grep -qi 'liberation' || echo fonts-liberation
    fc-list 2>/dev/null | grep -qi 'color *emoji' || echo fonts-noto-color-emoji
    command -v postgres >/dev/null 2>&1 || [ -n "$(ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ] || echo postgresql
    [ "$(uname)" != Linux ] || command -v systemd-analyze >/dev/null 2>&1 || echo systemd
}

wanted=$(missing)
[ -z "$wanted" ] && exit 0
if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:" $wanted
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    # The tests start servers of their own: Debian's package is to make and start none.
    case $wanted in *postgresql*)
        mkdir -p /etc/postgresql-common
        [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    esac
    # shellcheck disable=SC2086 # one word a package
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -y -qq --no-install-recommends fontconfig $wanted; } >"$log" 2>&1 && exit 0
    tail -n 20 "$log" >&2
fi
echo "The tests need what is not here:" $wanted "- install it (on Debian: apt-get install" $wanted"), then run make again." >&2
exit 3  # the rest can go on without, and the next make asks again
