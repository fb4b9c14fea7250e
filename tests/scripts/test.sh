#!/usr/bin/env bash
# All that must pass, in the order of what fails fastest.
set -euo pipefail
cd "$(dirname "$0")/../.."

step() { printf '\n== %s\n' "$*"; }
cargo=${CARGO:-cargo}
# Tests wait for disks, and for servers and programs that they started.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 2))}
target=wasm32-unknown-unknown

step "format"
$cargo fmt --all --check

step "a fresh build of the component, in both flavours"
fresh=$(tests/scripts/component.sh async)
fresh_sync=$(tests/scripts/component.sh sync)

step "the component with the clock of WASI 0.3"
tests/scripts/wasi-0-3-test.sh

step "lints"
$cargo clippy --locked --workspace --all-targets -- --deny warnings
for component in component storage-keyvalue storage-memory; do
    for flavour in "" sync; do
        $cargo clippy --locked --package "session-repository-$component" --lib --features "$flavour" --profile component --target $target \
            -- --deny warnings
    done
done

for stores in embedded mongodb ""; do
    step "lints, with ${stores:-no} store alone"
    $cargo clippy --locked --package session-repository --all-targets --no-default-features --features "$stores" -- --deny warnings
done

step "other platforms"
tests/scripts/platforms.sh

step "documentation"
RUSTDOCFLAGS="--deny warnings" $cargo doc --locked --workspace --no-deps --lib

step "tests, with the committed component"
$cargo test --locked --workspace

for stores in embedded mongodb; do
    step "tests of the library, with the $stores store alone"
    $cargo test --locked --package session-repository --lib --examples --no-default-features --features "$stores"
done

if cmp --silent "$fresh" host/session-repository.wasm && cmp --silent "$fresh_sync" host/session-repository-sync.wasm; then
    step "the fresh builds are the committed components, byte for byte: tested already"
else
    step "tests, with the fresh builds of the component"
    SESSION_REPOSITORY_COMPONENT=$fresh SESSION_REPOSITORY_COMPONENT_SYNC=$fresh_sync $cargo test --locked --package session-repository-tests
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step "the commands of the README that build: make demo"
make demo 2>&1 | tee "$work/log"
grep Compiling "$work/log" | grep --invert-match --fixed-strings "($(pwd -P)/" >"$work/again" || true
if [ -s "$work/again" ]; then
    cat "$work/again" >&2
    echo "a dependency was built again, with other features: tests/same-features/Cargo.toml says what to do" >&2
    exit 1
fi
step "the commands of the README that build: make demo-mongo"
make demo-mongo

step "what is published, as others get it"
PROFILE=dev tests/scripts/package.sh "$work/package" >/dev/null
tests/scripts/package-test.sh "$work/package"
step "what is published is the same each time"
PROFILE=dev tests/scripts/package.sh "$work/packaged-again" >/dev/null
# All but the wheel: maturin puts a bill of materials into it that bears the time and a random number.
diff <(grep --invert-match '\.whl$' "$work/package/SHA256SUMS") <(grep --invert-match '\.whl$' "$work/packaged-again/SHA256SUMS")

# Without optimisation, which is what takes minutes; what is installed is the same.
step "the commands of the README that build: cargo install --path host --locked"
$cargo install --path host --locked --debug --root "$work/installed" --target-dir "${CARGO_TARGET_DIR:-$PWD/target}"
"$work/installed/bin/session-repo" --version

step "all passed"
