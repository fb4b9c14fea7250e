#!/usr/bin/env bash
# Tests the npm package in guest/node.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/scripts/node-modules.sh
cd guest/node
npm test --silent >&2
