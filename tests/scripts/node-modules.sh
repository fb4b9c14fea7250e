#!/usr/bin/env bash
# Fetches what the npm package in guest/node is built and tested with, if package-lock.json has changed since.
set -euo pipefail
cd "$(dirname "$0")/../../guest/node"

say() { printf 'node-modules: %s\n' "$*" >&2; }
command -v npm >/dev/null || { say "npm is missing: install Node with it (apt-get install npm)"; exit 1; }
if ! cmp --silent package-lock.json node_modules/installed-from; then
    say "fetching what the package is built with"
    npm ci --no-audit --no-fund --loglevel=error >&2
    # Comes last: a folder without it is filled anew.
    cp package-lock.json node_modules/installed-from
fi
