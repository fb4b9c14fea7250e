#!/usr/bin/env bash
# Builds the component with the clock of WASI 0.3, in both flavours, and calls the asynchronous one in the stock Wasmtime, on top of the storage in
# memory.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$(tests/scripts/wasm-tools.sh)
wasmtime=$(tests/scripts/wasmtime-cli.sh)
. tests/scripts/versions.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() { printf 'wasi-0-3-test: %s\n' "$*" >&2; exit 1; }

for flavour in sync async; do
    component=$(tests/scripts/component.sh "$flavour" wasi-0-3)
    imports=$("$tools" component wit "$component" | sed -nE 's/^  import (.*);$/\1/p' | grep '^wasi:')
    [ "$imports" = wasi:clocks/system-clock@0.3.0 ] || die "$flavour imports $imports"
done
tests/scripts/standalone.sh "$work" >/dev/null
standalone=$(tests/scripts/standalone.sh "$work" "$work/storage-memory.wasm" "$component")
before=$(date +%s%3N)
answer=$("$wasmtime" run -S p3 --invoke 'session:repository/sessions.create@'"$wit_version"'("s1", none, none)' "$standalone")
created=$(sed -nE 's/^ok\(\{session-id: "s1", .*created-at: ([0-9]+),.*$/\1/p' <<<"$answer")
[ -n "$created" ] && [ "$created" -ge "$before" ] || die "$answer"
