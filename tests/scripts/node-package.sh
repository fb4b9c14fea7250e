#!/usr/bin/env bash
# Tests the npm package in guest/node: fetches what it is built with when package-lock.json changes, then `npm test`.
#
#   node-package.sh [SESSION-REPO]
#
# With a session-repo and MONGODB_URI also its storage on MongoDB, beside that program. The page runs in the browser that chromium.sh finds.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
if [ $# -gt 0 ]; then
    SESSION_REPO=$(realpath "$1")
    export SESSION_REPO
fi
cd "$scripts/../../guest/node"

say() { printf 'node-package: %s\n' "$*" >&2; }
command -v npm >/dev/null || { say "npm is missing: install Node with it (apt-get install npm)"; exit 1; }
if ! cmp --silent package-lock.json node_modules/installed-from; then
    say "fetching what the package is built with"
    npm ci --no-audit --no-fund --loglevel=error >&2
    # Comes last: a folder without it is filled anew.
    cp package-lock.json node_modules/installed-from
fi
CHROMIUM=$("$scripts/chromium.sh")
export CHROMIUM
npm test --silent >&2
