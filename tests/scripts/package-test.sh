#!/usr/bin/env bash
# Installs each thing that `make package` built into an empty place, and uses it: `package-test.sh FOLDER`.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(cd "${1:?usage: package-test.sh FOLDER}" && pwd)
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
cargo=${CARGO:-cargo}
. tests/scripts/versions.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'package-test: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
# Fails unless a text has a part.
has() { [[ $1 == *"$2"* ]] || die "no '$2' in: $1"; }

# A Python with what the tests want.
venv() {
    tests/scripts/python-environment.sh "$target/python/package-test" tests/scripts/package-test.txt
    echo "$target/python/package-test/bin/python"
}

sums() {
    (cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS)
    diff <(cut --characters=67- "$folder/SHA256SUMS") <(cd "$folder" && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort) \
        || die "SHA256SUMS names other files than there are"
}

the_program() {
    local name=session-repo-$version-$triple store=$work/sessions.store page shown pages
    tar --extract --gzip --directory "$work" --file "$folder/$name.tar.gz"
    program=$work/$name/session-repo
    has "$("$program" --version)" "session-repo $version"
    "$program" --store "file:$store" session create packaged --type chat >/dev/null
    has "$("$program" --store "file:$store" session read packaged --json)" '"session_type":"chat"'
    has "$(cat "$work/$name/LICENSE")" "Apache License"
    has "$(cat "$work/$name/README.md")" "# session-repository"
    has "$(cat "$work/$name/CHANGELOG.md")" "# Changelog"
    has "$(bash --norc -c 'source "$1"; complete -p session-repo' _ "$work/$name/completions/session-repo")" session-repo
    has "$(cat "$work/$name/completions/_session-repo")" "#compdef session-repo"
    has "$(cat "$work/$name/completions/session-repo.fish")" "complete -c session-repo"
    command -v man >/dev/null && command -v groff >/dev/null || { say "the manual is not read: man or groff is missing"; return 0; }
    shown=$(MANPAGER=cat MANWIDTH=100 man --warnings --local-file "$work/$name/man/man1/session-repo.1" 2>&1)
    has "$shown" SYNOPSIS && has "$shown" "session-repo message append user-123" && has "$shown" "session-repo-message(1)"
    for page in "$work/$name"/man/man1/*.1; do
        shown=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
        [ -z "$shown" ] || die "$(basename "$page"): $shown"
    done
    # One for each command that the help names.
    while read -r page; do
        [ -f "$work/$name/man/man1/session-repo-$page.1" ] || die "$page has no manual page"
        pages=$((${pages:-0} + 1))
    done < <("$program" --help | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) .*/\1/p' | grep --invert-match --line-regexp help)
    [ "${pages:-0}" -gt 10 ] || die "the help names ${pages:-0} commands"
}

bill_of_materials() {
    local python
    python=$(venv)
    "$python" tests/scripts/sbom_test.py "$folder/session-repo-$version.cdx.json" Cargo.lock
}

image() {
    tests/scripts/image-test.sh "$program" "$(venv)"
}

wit_package() {
    local texts=$work/session-repository-wit-$wit_version flavour package
    tar --extract --gzip --directory "$work" --file "$folder/session-repository-wit-$wit_version.tar.gz"
    for flavour in "" -sync; do
        package=session:repository$flavour
        # What was packed is what stands in the texts, with the docs. The package that it imports has lost its docs.
        diff <("$tools" component wit "$folder/session-repository$flavour-wit.wasm" | sed '/^package wasi:/,$d') \
            <("$tools" component wit "$texts/wit$flavour" | sed '/^package wasi:/,$d') \
            || die "$package differs from its texts"
        has "$("$tools" metadata show --json "$folder/session-repository$flavour-wit.wasm")" "\"version\":\"$wit_version\""
        # As the author of a plugin uses it.
        mkdir -p "$work/world$flavour/deps"
        cp -r "$texts/wit$flavour" "$work/world$flavour/deps/repository"
        mv "$work/world$flavour/deps/repository/deps/clocks" "$work/world$flavour/deps/clocks"
        printf 'package my:plugin;\nworld mine {\n    include %s/plugin@%s;\n}\n' "$package" "$wit_version" >"$work/world$flavour/world.wit"
        has "$("$tools" component wit "$work/world$flavour")" "import $package/sessions@$wit_version"
    done
}

components() {
    local component standalone=$folder/session-repository-standalone.wasm wasmtime answer
    for component in session-repository{,-sync,-storage-memory,-storage-keyvalue,-standalone,-keyvalue}; do
        "$tools" validate --features all "$folder/$component.wasm"
        # Nothing of the machine that built it.
        ! grep --quiet --fixed-strings --regexp="${CARGO_HOME:-$HOME/.cargo}" --regexp="$PWD" "$folder/$component.wasm" \
            || die "$component names folders of this machine"
        answer=$("$tools" metadata show --json "$folder/$component.wasm")
        has "$answer" "\"name\":\"session:${component#session-}\""
        has "$answer" "\"version\":\"$version\"" && has "$answer" '"licenses":"Apache-2.0"'
    done
    # The suite runs on these.
    cmp host/session-repository.wasm "$folder/session-repository.wasm"
    cmp host/session-repository-sync.wasm "$folder/session-repository-sync.wasm"
    for component in memory keyvalue; do
        "$program" conformance --only append --storage "$folder/session-repository-storage-$component.wasm" >"$work/report" 2>&1 \
            || die "$(cat "$work/report")"
    done
    wasmtime=$(tests/scripts/wasmtime-cli.sh)
    answer=$("$wasmtime" run --invoke "session:repository/sessions.create@$wit_version(\"s1\", some(\"chat\"), none)" "$standalone")
    has "$answer" 'ok({session-id: "s1", session-type: "chat"'
}

the_crate() {
    tar --extract --gzip --directory "$work" --file "$folder/session-repository-$version.crate"
    # With the profile of the workspace, so that hardly any dependency is built again for it.
    sed -n '/^\[profile\.dev/,/^$/p' Cargo.toml >"$work/profile.toml"
    $cargo check --locked --manifest-path "$work/session-repository-$version/Cargo.toml" --config "$work/profile.toml" --target-dir "$target"
}

npm_package() {
    tests/scripts/node-modules.sh
    local node=$PWD/guest/node/node_modules/.bin/node
    mkdir "$work/npm"
    (cd "$work/npm" && npm install --silent --offline --no-audit --no-fund "$folder/session-repository-$version.tgz" >&2)
    cat >"$work/npm/use.mjs" <<'JS'
import { createRepository } from 'session-repository';
import { memoryStorage } from 'session-repository/memory';

const { sessions, agents, messages } = await createRepository({ storage: memoryStorage() });
await sessions.create('s', { sessionType: 'chat' });
await agents.create('s', 'a', { model: 'm' });
await messages.append('s', 'a', { role: 'user', content: 'Hello!' });
for (const { messageId, body } of await messages.list('s', 'a')) console.log(messageId, body.content);
JS
    has "$(cd "$work/npm" && "$node" use.mjs)" "0 Hello!"
}

python_package() {
    local added
    python3 -m venv "$work/wheel"
    "$work/wheel/bin/python" -m pip --disable-pip-version-check install --quiet --no-index "$folder"/session_repository-*.whl >&2
    cat >"$work/use.py" <<'PYTHON'
import session_repository

with session_repository.Repository.open("memory:") as repo:
    repo.sessions.create("s", "chat")
    repo.agents.create("s", "a", {"model": "m"})
    repo.messages.append("s", "a", {"role": "user", "content": "Hello!"})
    for message in repo.messages.list("s", "a"):
        print(message.message_id, message.body["content"])
PYTHON
    has "$(cd "$work" && "$work/wheel/bin/python" use.py)" "0 Hello!"
    # All sources are there, pip can begin to build them, and Cargo resolves them to the locked versions. Not with `--locked`: packages of
    # tests leave the lock file. pip comes first, as long as they are in it.
    tar --extract --gzip --directory "$work" --file "$folder/session_repository-$version.tar.gz"
    tests/scripts/python-environment.sh "$target/python/build" host/python/requirements-build.txt
    (cd "$work/session_repository-$version" && CARGO_NET_OFFLINE=true "$target/python/build/bin/maturin" pep517 write-dist-info \
        --metadata-directory "$work/dist-info") >&2
    has "$(cd "$work/session_repository-$version" && $cargo metadata --offline --format-version 1)" '"name":"session-repository-python"'
    added=$(comm -13 <(grep '^checksum' Cargo.lock | sort) <(grep '^checksum' "$work/session_repository-$version/Cargo.lock" | sort))
    [ -z "$added" ] || die "the source distribution has other dependencies than Cargo.lock"
    has "$(cat "$work/session_repository-$version/PKG-INFO")" "Version: $version"
}

tools=$(tests/scripts/wasm-tools.sh)
for part in sums the_program bill_of_materials image wit_package components npm_package python_package the_crate; do
    say "$part"
    SECONDS=0
    $part
    say "$part: ${SECONDS} s"
done
