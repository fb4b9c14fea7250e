#!/usr/bin/env bash
# Builds the component afresh and prints where it is: `component.sh [async|sync [wasi-0-3]]`. With `sync`, that of the synchronous flavour; with
# `wasi-0-3`, for hosts that have no clock but that of WASI 0.3.
set -euo pipefail
cd "$(dirname "$0")/../.."

case ${1:-async} in
    async) features="" package=session:repository name=session-repository ;;
    sync) features=sync package=session:repository-sync name=session-repository-sync ;;
    *) echo "usage: component.sh [async|sync [wasi-0-3]]" >&2; exit 2 ;;
esac
case ${2:-} in
    "") ;;
    wasi-0-3) features=${features:+$features,}wasi-0-3 name=$name-wasi-0-3 ;;
    *) echo "usage: component.sh [async|sync [wasi-0-3]]" >&2; exit 2 ;;
esac

cargo=${CARGO:-cargo}
target=wasm32-unknown-unknown

tests/scripts/wasm-target.sh
$cargo fetch --locked --target $target >&2

CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$(tests/scripts/remap.sh) \
    $cargo build --locked --package session-repository-component --lib --features "$features" --profile component \
        --target $target >&2
built=${CARGO_TARGET_DIR:-$PWD/target}/$target/component
$cargo run --quiet --locked --package session-repository-component --bin describe -- \
    "$built/session_repository_component.wasm" "$built/$name.wasm" $package >&2
echo "$built/$name.wasm"
