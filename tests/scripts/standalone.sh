#!/usr/bin/env bash
# Makes one component of the repository and the storage in memory, and prints where it is: `standalone.sh [FOLDER [STORAGE [COMPONENT]]]`. Without a
# storage component it builds `storages/memory`, and leaves that in the folder as well. Without a component it takes the committed one.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
target=wasm32-unknown-unknown
folder=${1:-${CARGO_TARGET_DIR:-$PWD/target}/components}
storage=${2:-}
component=${3:-host/session-repository.wasm}

mkdir -p "$folder"
if [ -z "$storage" ]; then
    tests/scripts/wasm-target.sh
    $cargo build --locked --package session-repository-storage-memory --lib --profile component --target $target >&2
    storage=$folder/storage-memory.wasm
    cp "${CARGO_TARGET_DIR:-$PWD/target}/$target/component/session_repository_storage_memory.wasm" "$storage"
fi
tools=$(tests/scripts/wasm-tools.sh)
standalone=$folder/session-repository-standalone.wasm
# It says each time that it is deprecated; its successor has no package that is fetched as easily.
log=$("$tools" compose "$component" --definitions "$storage" --output "$standalone" 2>&1) || { echo "$log" >&2; exit 1; }
"$tools" validate --features all "$standalone"
echo "$standalone"
