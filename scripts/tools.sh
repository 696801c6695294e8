#!/usr/bin/env bash
# Makes sure that the programs of a purpose are there: `tools.sh run` (build and serve), `tools.sh test` (browsers, media),
# `tools.sh soak` (a bad network) or `tools.sh interop` (other people's clients and servers; what cannot be had is told, and
# the table of make interop says so).
# On Debian and Ubuntu as root it installs what is missing; elsewhere it says what to install, and stops.
set -euo pipefail

missing=()
packages=()
need() { # program, Debian package
    command -v "$1" >/dev/null || { missing+=("$1"); packages+=("$2"); }
}
need_file() { # path, Debian package
    [ -e "$1" ] || { missing+=("$1"); packages+=("$2"); }
}

case "${1:-run}" in
run)
    need cc gcc
    need make make
    command -v cargo >/dev/null || {
        echo "cargo is missing: install a Rust toolchain (rust-version in rust/Cargo.toml), then try again" >&2
        exit 1
    }
    command -v npm >/dev/null || {
        echo "npm is missing: install Node.js 20.19 or newer, then try again" >&2
        exit 1
    }
    ;;
test)
    # The extension's own tests link against libpython.
    need_file "$("${PYTHON:-python3}" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" python3-dev
    need chromium chromium
    need firefox-esr firefox-esr
    need ip iproute2
    need nginx nginx-light
    need redis-server redis-server
    need_file /usr/lib/python3/dist-packages/gi python3-gi
    need_file /usr/share/doc/python3-gst-1.0 python3-gst-1.0
    need_file /usr/share/doc/gir1.2-gst-plugins-bad-1.0 gir1.2-gst-plugins-bad-1.0
    for plugin in nice libav plugins-good plugins-bad plugins-ugly; do
        need_file "/usr/share/doc/gstreamer1.0-$plugin" "gstreamer1.0-$plugin"
    done
    ;;
interop)
    modules="$(dirname "$0")/../tests/interop/npm"
    if [ ! -e "$modules/node_modules/.package-lock.json" ] || [ "$modules/package-lock.json" -nt "$modules/node_modules/.package-lock.json" ]; then
        # What is built for Node.js needs its headers, which lie beside it where they were installed with it.
        npm_config_nodedir="$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")" \
            npm ci --prefix "$modules" --no-audit --no-fund --loglevel=error || echo "some clients of npm will be missing" >&2
        [ -e "$modules/node_modules/.package-lock.json" ] && touch "$modules/node_modules/.package-lock.json"
    fi
    command -v go >/dev/null || echo "go is missing: Pion will be" >&2
    if [ ! -e "$modules/simple-whip-server/server.js" ] && command -v apt-get >/dev/null; then
        # Debian's package wants Debian's Node.js; its two files run with any.
        unpacked="$(mktemp -d)"
        chmod 755 "$unpacked"
        (cd "$unpacked" && apt-get download -qq simple-whip-server && dpkg -x ./*.deb .) || echo "simple-whip-server will be missing" >&2
        mkdir -p "$modules/simple-whip-server"
        for file in server.js whip-janus.js; do
            cp "$unpacked/usr/share/simple-whip-server/src/$file" "$modules/simple-whip-server/" || true
        done
        rm -rf "$unpacked"
    fi
    need janus janus
    ;;
soak)
    need ip iproute2
    need nft nftables
    ;;
*)
    echo "usage: $0 run|test|interop|soak" >&2
    exit 2
    ;;
esac

[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "missing: ${missing[*]}" >&2
    echo "install (Debian package names): ${packages[*]}" >&2
    exit 1
fi
echo "installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
