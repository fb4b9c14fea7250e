#!/usr/bin/env bash
# Tests the npm package in guest/node.
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
"$scripts/node-modules.sh"
CHROMIUM=$("$scripts/chromium.sh")
export CHROMIUM
cd "$scripts/../../guest/node"
npm test --silent >&2
