#!/usr/bin/env bash
# Runs the tests of the example host in Python, and the conformance suite against it: python-wasmtime.sh [SESSION-REPO]. The packages are kept in a virtual
# environment in the target folder, which is made anew when requirements.txt changes. The exit status is that of the suite.
set -euo pipefail

say() { printf 'python-wasmtime: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

root=$(cd "$(dirname "$0")/../.." && pwd)
example=$root/host/examples/python-wasmtime
target=${CARGO_TARGET_DIR:-$root/target}
program=${1:-$target/debug/session-repo}
[ -x "$program" ] || die "$program is not a program: cargo build, or name a session-repo"

mkdir -p "$target"
venv=$(cd "$target" && pwd)/venv-wasmtime
python=$venv/bin/python
if ! cmp --silent "$example/requirements.txt" "$venv/requirements.txt" || ! "$python" -c 'import wasmtime' 2>/dev/null; then
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
        || die "no python3 of version 3.10 or newer with venv: install it (apt-get install python3-venv)"
    say "installing $(tr '\n' ' ' <"$example/requirements.txt")"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$python" -m pip --disable-pip-version-check install --quiet --requirement "$example/requirements.txt" >&2 || die "pip cannot install it"
    # Comes last: an environment without it is made anew.
    cp "$example/requirements.txt" "$venv/requirements.txt"
fi

export PYTHONDONTWRITEBYTECODE=1
(cd "$example" && "$python" -m unittest --quiet) >&2
exec "$program" conformance --exec "$(printf '%q %q' "$python" "$example/exec.py")"
