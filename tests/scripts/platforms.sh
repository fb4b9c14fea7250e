#!/usr/bin/env bash
# Checks that the library compiles for other platforms, as far as that goes without their C compilers and linkers: with the store in a file.
# (MongoDB's TLS and compression are partly C.) Needs rustup for what is not installed; says what is left out.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
for target in aarch64-apple-darwin aarch64-unknown-linux-gnu x86_64-pc-windows-gnu; do
    libdir=$(rustc --print target-libdir --target "$target")
    if ! compgen -G "$libdir/libstd-*.rlib" >/dev/null && ! timeout 120 rustup target add "$target" >/dev/null 2>&1; then
        echo "$target: not checked, there is no standard library for it here and rustup cannot fetch it"
        continue
    fi
    echo "$target"
    $cargo check --quiet --locked --package session-repository --lib --no-default-features --features embedded --target "$target"
done
