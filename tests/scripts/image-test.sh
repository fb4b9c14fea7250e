#!/usr/bin/env bash
# Tests the Dockerfile as far as that goes without a container engine: `image-test.sh PROGRAM PYTHON`. PROGRAM is a session-repo, PYTHON one that
# has the package `docker`. It does not pull the base images, and does not run the build stage.
set -euo pipefail
cd "$(dirname "$0")/../.."

program=$(realpath "${1:?usage: image-test.sh PROGRAM PYTHON}")
python=${2:?usage: image-test.sh PROGRAM PYTHON}
cargo=${CARGO:-cargo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'image-test: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
# What an instruction of the final stage says.
instruction() { sed -n '/^FROM gcr/,$p' Dockerfile | sed -nE "s/^$1 (.*)\$/\1/p"; }

"$(tests/scripts/hadolint.sh)" Dockerfile

# The build stage gets what the crate consists of, and all members of the workspace.
"$python" -c '
import sys
from docker.utils.build import exclude_paths
with open(".dockerignore", encoding="utf-8") as file:
    patterns = [line.strip() for line in file if line.strip() and not line.startswith("#")]
print(*sorted(exclude_paths(".", patterns)), sep="\n")' >"$work/context"
$cargo package --list --locked --package session-repository --allow-dirty \
    | grep --invert-match --line-regexp --extended-regexp '\.cargo_vcs_info\.json|Cargo\.toml\.orig|Cargo\.lock' >"$work/crate"
while read -r file; do
    real=$(realpath --relative-to=. "host/$file")
    grep --quiet --line-regexp --fixed-strings "$real" "$work/context" || die ".dockerignore leaves out $real"
done <"$work/crate"
tar --create --no-recursion --files-from="$work/context" | tar --extract --directory "$(mkdir "$work/src" && echo "$work/src")"
(cd "$work/src" && $cargo tree --quiet --locked --offline --package session-repository --depth 0 >/dev/null)
! grep --extended-regexp '(^|/)(\.git|target|node_modules)(/|$)' "$work/context" >&2 || die ".dockerignore lets these in"
# It builds what the README installs.
sed -n '/^RUN /,/[^\\]$/p' Dockerfile | grep --quiet "cargo build --locked --release --package session-repository --bin session-repo" \
    || die "the build stage builds something else"
# Its C library is that of the final stage, which is Debian 12.
grep --quiet '^FROM rust:.*-bookworm AS build$' Dockerfile && grep --quiet '^FROM gcr.io/distroless/cc-debian12:nonroot$' Dockerfile \
    || die "the stages are of different releases of Debian"

# The final stage has the C library, libgcc and no other library.
needed=$(readelf --dynamic "$program" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
for library in $needed; do
    case $library in
        libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | libgcc_s.so.1 | ld-linux-x86-64.so.2) ;;
        *) die "the program needs $library, which the image does not have" ;;
    esac
done

user=$(instruction USER)
entry=$(instruction ENTRYPOINT | sed -E 's/^\["(.*)"\]$/\1/')
volume=$(instruction VOLUME | sed -E 's/^\["(.*)"\]$/\1/')
environment=$(instruction ENV)
[[ $user =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || die "the image runs as $user"
if [ "$(id -u)" != 0 ] || ! unshare --mount true 2>/dev/null; then
    say "not run in a root of its own: that takes root and unshare"
    exit 0
fi
# As a container has it: a root that cannot be written to, with what the stage copies, and the volume.
root=$work/root
mkdir -p "$root$(dirname "$entry")" "$root$volume"
cp "$program" "$root$entry"
ldd "$program" | grep --only-matching --extended-regexp '/[^ ]+' | sort -u | while read -r library; do
    cp --dereference --parents "$library" "$root"
done
chown "$user" "$root$volume"
chmod 755 "$work" "$root"
run() {
    unshare --mount bash -euc '
        mount --bind "$1" "$1"
        mount --bind "$1$2" "$1$2"
        mount -o remount,ro,bind "$1"
        exec env --ignore-environment "$4" HOME=/home/nonroot "$(command -v chroot)" --userspec="$3" "$1" "${@:5}"' _ "$root" "$volume" "$user" "$environment" "$entry" "$@"
}
run session create in-a-container >/dev/null
[ "$(stat --format %u:%g "$root$volume/sessions.store")" = "$user" ] || die "the file is not the user's"
! run --store file:/elsewhere.store session create s 2>"$work/refused" || die "the root can be written to"
