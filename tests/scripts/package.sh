#!/usr/bin/env bash
# Builds all that would be published into a folder, which is made anew, and publishes nothing: `package.sh [FOLDER]`.
#
#   PROFILE             the profile of the Rust programs: release, or dev, which is fast where the workspace was built already
#   SOURCE_DATE_EPOCH   the time that files and the bill of materials bear; that of the last commit, if it is not set
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
# Also for what runs in another folder.
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR=$target
profile=${PROFILE:-release}
folder=${1:-$target/package}
. tests/scripts/versions.sh
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
# It stays in here: C compilers read it, so that cargo would build again what has C in it.
unset SOURCE_DATE_EPOCH
# So that files come in one order everywhere.
export LC_ALL=C.UTF-8

say() { printf 'package: %s\n' "$*" >&2; }
# What is made anew is removed first, so it must be what this has made.
[ ! -e "$folder" ] || [ -f "$folder/SHA256SUMS" ] || [ -z "$(ls -A "$folder")" ] \
    || { say "$folder holds something else than packages: name another folder, or remove it"; exit 1; }
# Packs a folder of $work, the same each time: archive NAME writes NAME.tar.gz.
archive() {
    tar --create --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --mode='u+rw,go=rX,a-s' \
        --directory "$work" "$1" | gzip --no-name >"$out/$1.tar.gz"
}
# A field of wkg.toml, which says what the WIT package and the components are.
field() { sed -nE "s/^$1 = \"(.*)\"\$/\1/p" wkg.toml; }
# describe NAME FROM TO [VERSION]
describe() {
    "$tools" metadata add --name "$1" --version "${4:-$version}" --description "$(field description)" --licenses "$(field licenses)" \
        --source "$(field source)" --output "$3" "$2"
}

wit_package() {
    local texts=$work/session-repository-wit-$wit_version
    mkdir -p "$texts"
    $cargo run --quiet --locked --package session-repository-component --bin wit-sync -- "$texts/wit-sync"
    cp --recursive --dereference wit wkg.toml LICENSE "$texts"
    archive "session-repository-wit-$wit_version"
    for flavour in "" -sync; do
        "$tools" component wit "$texts/wit$flavour" --wasm --output "$work/wit$flavour.wasm"
        describe "session:repository$flavour" "$work/wit$flavour.wasm" "$out/session-repository$flavour-wit.wasm" "$wit_version"
    done
}

components() {
    # They say what they are already, and are what others get with the crate.
    cp host/session-repository.wasm host/session-repository-sync.wasm "$out"
    tests/scripts/standalone.sh "$work/components" >/dev/null
    for storage in memory keyvalue; do
        describe "session:repository-storage-$storage" "$work/components/storage-$storage.wasm" "$out/session-repository-storage-$storage.wasm"
    done
    for whole in standalone keyvalue; do
        describe "session:repository-$whole" "$work/components/session-repository-$whole.wasm" "$out/session-repository-$whole.wasm"
    done
}

crate() {
    # Also while changes are not committed: the crate says so itself, in .cargo_vcs_info.json.
    $cargo package --quiet --locked --package session-repository --allow-dirty --no-verify --target-dir "$work/crate" >&2
    cp "$work/crate/package/session-repository-$version.crate" "$out"
}

npm_package() {
    tests/scripts/node-modules.sh
    (cd guest/node && npm pack --silent --pack-destination "$out") >&2
}

python_package() {
    local venv=$target/python/build features=()
    mkdir -p "$target/python"
    tests/scripts/python-environment.sh "$venv" host/python/requirements-build.txt
    # Beside the workspace, so that no dependency is built again.
    if [ "$profile" = dev ]; then features=(--features same-features); fi
    (cd host/python && "$venv/bin/maturin" build --quiet --locked --profile "$profile" "${features[@]}" --out "$out") >&2
    (cd host/python && "$venv/bin/maturin" sdist --out "$out") >&2
}

program() {
    local name=session-repo-$version-$triple built=$target/${profile/#dev/debug}/session-repo shell script
    $cargo build --quiet --locked --profile "$profile" --package session-repository --bin session-repo
    mkdir -p "$work/$name/completions"
    cp "$built" LICENSE README.md CHANGELOG.md "$work/$name"
    strip "$work/$name/session-repo"
    "$built" man "$work/$name/man/man1"
    for script in bash=session-repo zsh=_session-repo fish=session-repo.fish; do
        shell=${script%%=*}
        "$built" completions "$shell" >"$work/$name/completions/${script#*=}"
    done
    archive "$name"
    python3 tests/scripts/sbom.py "$triple" "$time" >"$out/session-repo-$version.cdx.json"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/package
mkdir "$out"
tools=$(tests/scripts/wasm-tools.sh)

for part in wit_package components crate npm_package python_package program; do
    say "$part"
    $part
done

(cd "$out" && sha256sum -- *) >"$work/SHA256SUMS"
mv "$work/SHA256SUMS" "$out"
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
mv "$out" "$folder"
(cd "$folder" && wc --bytes -- *) >&2
echo "$folder"
