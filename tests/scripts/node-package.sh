#!/usr/bin/env bash
# Tests the npm package in guest/node: fetches what it is built with when package-lock.json changes, then `npm test`.
set -euo pipefail
cd "$(dirname "$0")/../../guest/node"

say() { printf 'node-package: %s\n' "$*" >&2; }
command -v npm >/dev/null || { say "npm is missing: install Node with it (apt-get install npm)"; exit 1; }
if ! cmp --silent package-lock.json node_modules/installed-from; then
    say "fetching what the package is built with"
    npm ci --no-audit --no-fund --loglevel=error >&2
    # Comes last: a folder without it is filled anew.
    cp package-lock.json node_modules/installed-from
fi
npm test --silent >&2
