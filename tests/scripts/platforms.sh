#!/usr/bin/env bash
# Checks that the library with the store in a file compiles for other platforms. Their C compilers and linkers are not needed: nothing is run,
# so the few lines of C are left out. Fetches the standard libraries with rustup, and says what is left out without it.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
for target in aarch64-apple-darwin aarch64-unknown-linux-gnu x86_64-pc-windows-gnu; do
    libdir=$(rustc --print target-libdir --target "$target")
    if ! compgen -G "$libdir/libstd-*.rlib" >/dev/null; then
        echo "$target: fetching the standard library with rustup"
        if ! timeout 120 rustup target add "$target" >/dev/null 2>&1; then
            echo "$target: not checked, because rustup cannot fetch it"
            continue
        fi
    fi
    echo "$target"
    TARGET_CC=true TARGET_AR=true $cargo check --quiet --locked --package session-repository --lib --no-default-features --features embedded --target "$target"
done
