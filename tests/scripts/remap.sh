#!/usr/bin/env bash
# Prints flags for rustc with which a component is the same wherever cargo keeps its packages, and says nothing of that place: panics name source
# files.
set -euo pipefail
cd "$(dirname "$0")/../.."

remap=
for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    remap+=" --remap-path-prefix=${folder%/}=deps"
done
library=$(rustc --print sysroot)/lib/rustlib/src/rust
remap+=" --remap-path-prefix=$library=rust --remap-path-prefix=$PWD=."
echo "$remap"
