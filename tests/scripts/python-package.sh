#!/usr/bin/env bash
# Builds the Python package in host/python, installs its wheel into a virtual environment for tests, and tests it: python-package.sh [SESSION-REPO].
# The tests are the type checker, pytest, and the conformance suite on both APIs. MONGODB_URI names the server of the tests.
set -euo pipefail

say() { printf 'python-package: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

scripts=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$scripts/../.." && pwd)
package=$root/host/python
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-$root/target}")
export CARGO_TARGET_DIR=$target
program=${1:-$target/debug/session-repo}
[ -x "$program" ] || die "$program is not a program: cargo build, or name a session-repo"
[ -n "${MONGODB_URI:-}" ] || die "MONGODB_URI names no server: with-mongod tests/scripts/python-package.sh"

mkdir -p "$target/python"
work=$(cd "$target/python" && pwd)

"$scripts/python-environment.sh" "$work/build" "$package/requirements-build.txt"
"$scripts/python-environment.sh" "$work/test" "$package/requirements-test.txt"
python=$work/test/bin/python
export PYTHONDONTWRITEBYTECODE=1

say "building the wheel"
rm -rf "$work/wheels"
(cd "$package" && "$work/build/bin/maturin" build --quiet --locked --features same-features --out "$work/wheels") >&2
"$python" -m pip --disable-pip-version-check install --quiet --force-reinstall --no-deps --no-index "$work"/wheels/*.whl >&2

# Away from the sources, so that the installed package is what is tested.
cd "$package/tests"
say "types"
"$python" -m mypy --config-file "$package/pyproject.toml" --cache-dir "$work/mypy" . "$package/python" >&2
"$python" -m mypy.stubtest --mypy-config-file "$package/pyproject.toml" session_repository._native >&2
say "tests"
"$python" -m pytest --quiet --config-file "$package/pyproject.toml" --rootdir "$package" -p no:cacheprovider . >&2
for api in "" --async; do
    say "the conformance suite${api:+ with $api}"
    "$program" conformance --exec "$(printf '%q %q %s' "$python" "$package/tests/exec.py" "$api")"
done
