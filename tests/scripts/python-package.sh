#!/usr/bin/env bash
# Builds the Python package in host/python, installs its wheel into an empty virtual environment, and tests it: python-package.sh [SESSION-REPO].
# Tests are pytest's, the type checker's, and the conformance suite against both APIs. MONGODB_URI names the server that tests use.
set -euo pipefail

say() { printf 'python-package: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

root=$(cd "$(dirname "$0")/../.." && pwd)
package=$root/host/python
target=${CARGO_TARGET_DIR:-$root/target}
program=${1:-$target/debug/session-repo}
[ -x "$program" ] || die "$program is not a program: cargo build, or name a session-repo"
[ -n "${MONGODB_URI:-}" ] || die "MONGODB_URI names no server: with-mongod tests/scripts/python-package.sh"

mkdir -p "$target/python"
work=$(cd "$target/python" && pwd)

# An environment with what a file requires, made anew when the file changes.
environment() {
    local venv=$1 requirements=$2
    cmp --silent "$requirements" "$venv/requirements.txt" && return
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
        || die "no python3 of version 3.10 or newer with venv: install it (apt-get install python3-venv)"
    say "installing $(tr '\n' ' ' <"$requirements")"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --requirement "$requirements" >&2 || die "pip cannot install it"
    # Comes last: an environment without it is made anew.
    cp "$requirements" "$venv/requirements.txt"
}

environment "$work/build" "$package/requirements-build.txt"
environment "$work/test" "$package/requirements-test.txt"
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
