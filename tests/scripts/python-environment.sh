#!/usr/bin/env bash
# A virtual environment with what a file requires, made anew when the file has changed: `python-environment.sh FOLDER REQUIREMENTS`.
set -euo pipefail

venv=$1 requirements=$2

say() { printf 'python-environment: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

cmp --silent "$requirements" "$venv/requirements.txt" && [ -x "$venv/bin/python" ] && exit 0
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
    || die "no python3 of version 3.10 or newer with venv: install it (apt-get install python3-venv)"
say "installing $(tr '\n' ' ' <"$requirements")"
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check install --quiet --requirement "$requirements" >&2 || die "pip cannot install it"
# Comes last: an environment without it is made anew.
cp "$requirements" "$venv/requirements.txt"
