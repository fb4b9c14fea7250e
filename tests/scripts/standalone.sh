#!/usr/bin/env bash
# Makes one component of the repository and a storage, and prints where it is: `standalone.sh [FOLDER [STORAGE [COMPONENT]]]`. Without a storage
# component it builds those in `storages/` and leaves them in the folder as well. The printed component has the storage in memory, and another
# one, `session-repository-keyvalue.wasm`, that over wasi:keyvalue. Without a component of the repository it takes the committed one.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
target=wasm32-unknown-unknown
folder=${1:-${CARGO_TARGET_DIR:-$PWD/target}/components}
storage=${2:-}
component=${3:-host/session-repository.wasm}

mkdir -p "$folder"
tools=$(tests/scripts/wasm-tools.sh)

# compose STORAGE OUTPUT
compose() {
    # It says each time that it is deprecated; its successor has no package that is fetched as easily.
    log=$("$tools" compose "$component" --definitions "$1" --output "$2" 2>&1) || { echo "$log" >&2; exit 1; }
    "$tools" validate --features all "$2"
}

if [ -z "$storage" ]; then
    tests/scripts/wasm-target.sh
    $cargo fetch --locked --target $target >&2
    for name in keyvalue memory; do
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$(tests/scripts/remap.sh) $cargo build --locked --package "session-repository-storage-$name" --lib --profile component --target $target >&2
        storage=$folder/storage-$name.wasm
        cp "${CARGO_TARGET_DIR:-$PWD/target}/$target/component/session_repository_storage_$name.wasm" "$storage"
    done
    compose "$folder/storage-keyvalue.wasm" "$folder/session-repository-keyvalue.wasm"
fi
compose "$storage" "$folder/session-repository-standalone.wasm"
echo "$folder/session-repository-standalone.wasm"
