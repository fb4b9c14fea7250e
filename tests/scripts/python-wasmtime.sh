#!/usr/bin/env bash
# Runs the tests of the example host in Python, and the conformance suite against it: python-wasmtime.sh [SESSION-REPO]. The exit status is that of
# the suite.
set -euo pipefail

say() { printf 'python-wasmtime: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

root=$(cd "$(dirname "$0")/../.." && pwd)
example=$root/host/examples/python-wasmtime
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-$root/target}")
export CARGO_TARGET_DIR=$target
program=${1:-$target/debug/session-repo}
[ -x "$program" ] || die "$program is not a program: cargo build, or name a session-repo"

mkdir -p "$target/python"
venv=$(cd "$target/python" && pwd)/wasmtime
python=$venv/bin/python
"$root/tests/scripts/python-environment.sh" "$venv" "$example/requirements.txt"

export PYTHONDONTWRITEBYTECODE=1
(cd "$example" && "$python" -m unittest --quiet) >&2
exec "$program" conformance --exec "$(printf '%q %q' "$python" "$example/exec.py")"
