#!/usr/bin/env bash
# Makes `cargo build --target wasm32-unknown-unknown` work: does nothing when the target's standard library is there,
# else asks rustup, else builds it from the sources of exactly this rustc and puts it where rustc looks.
#
#   RUST_SRC   a directory or tarball that holds the `library` folder of this rustc's sources; used instead of Debian's package
set -euo pipefail

target=wasm32-unknown-unknown
say() { printf 'wasm-target: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

command -v rustc >/dev/null || die "rustc is missing: install Rust 1.95 or newer"
libdir=$(rustc --print target-libdir --target "$target")
has_std() { compgen -G "$libdir/libstd-*.rlib" >/dev/null; }

has_std && exit 0

version=$(rustc --version | cut -d' ' -f2)
[ -w "$(rustc --print sysroot)/lib/rustlib" ] || die "cannot write to $(rustc --print sysroot): run this once as the user who owns the toolchain"
say "rustc $version has no standard library for $target"

if [ -z "${RUST_SRC:-}" ] && command -v rustup >/dev/null; then
    say "trying rustup"
    if timeout 120 rustup target add "$target" >&2 && has_std; then
        say "rustup installed it"
        exit 0
    fi
    say "rustup cannot: building it from source"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints the first Debian mirror that this machine's own apt sources name; nothing if there is none.
apt_mirror() {
    cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk '
        /^URIs:/ { for (i = 2; i <= NF; i++) candidates[++n] = $i }
        /^deb[ \t]/ { sub(/\[[^]]*\]/, ""); candidates[++n] = $2 }
        END { for (i = 1; i <= n; i++) if (candidates[i] ~ /\/debian\/?$/) { print candidates[i]; exit } }
    ' || true
}

# Debian's rust-src of the same version, out of whichever suite has it, without touching the machine's apt set-up.
fetch_from_debian() {
    local mirror keyring suite package apt
    mirror=$(apt_mirror)
    [ -n "$mirror" ] || die "no Debian mirror in the apt sources: set RUST_SRC to the rust-src of rustc $version"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    for suite in trixie-backports trixie forky sid; do
        mkdir -p "$work/$suite/lists/partial" "$work/$suite/archives/partial"
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" > "$work/$suite/sources.list"
        apt=(-o "Dir::Etc::SourceList=$work/$suite/sources.list" -o Dir::Etc::SourceParts=-
             -o "Dir::State::Lists=$work/$suite/lists" -o "Dir::Cache=$work/$suite" -o APT::Sandbox::User=root -o Acquire::Languages=none)
        say "looking for rust-src $version in $suite"
        apt-get "${apt[@]}" -qq update >&2 || continue
        package=$(apt-cache "${apt[@]}" madison rust-src | awk -F' *[|] *' -v version="$version" 'index($2, version "+") == 1 || index($2, version "-") == 1 { if (!found++) print $2 }')
        [ -n "$package" ] || continue
        (cd "$work" && apt-get "${apt[@]}" -qq download "rust-src=$package" >&2)
        dpkg -x "$work"/rust-src_*.deb "$work/deb"
        return 0
    done
    die "no suite of the Debian mirror has rust-src $version: set RUST_SRC to a directory or tarball with its library folder"
}

if [ -n "${RUST_SRC:-}" ] && [ -d "$RUST_SRC" ]; then
    source=$RUST_SRC
elif [ -n "${RUST_SRC:-}" ]; then
    [ -f "$RUST_SRC" ] || die "RUST_SRC=$RUST_SRC is neither a directory nor a file"
    say "unpacking $RUST_SRC"
    mkdir "$work/tarball"
    tar -xf "$RUST_SRC" -C "$work/tarball"
    source=$work/tarball
else
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || die "needs apt-get and dpkg, or RUST_SRC with the rust-src of rustc $version"
    fetch_from_debian
    source=$work/deb
fi

# The outermost one: cargo's own tests, which some packages carry along, have a mock of it further down.
library=$(find "$source" -path '*/library/std/Cargo.toml' -printf '%d %h\n' | sort -n | awk 'NR == 1 { sub(/^[0-9]+ /, ""); print }')
[ -n "$library" ] || die "no library/std/Cargo.toml below $source"
# cargo writes beside the sources that it builds, so it gets a copy.
cp -r "$(dirname "$library")" "$work/library"

say "building the standard library (about half a minute)"
mkdir -p "$work/probe/src"
printf '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[profile.release]\npanic = "abort"\n' > "$work/probe/Cargo.toml"
: > "$work/probe/src/lib.rs"
# Sources are named as in the standard libraries that rustup has.
remap="--remap-path-prefix=$work/library=/rustc/$(rustc --verbose --version | awk '/^commit-hash:/ { print $2 }')/library"
remap+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/rust/deps"
# The bootstrap flag is what lets a stable cargo build std; it reaches this one build of std and nothing of ours.
(cd "$work/probe" && env -u CARGO_BUILD_TARGET -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS="$remap" \
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT="$work/library" CARGO_TARGET_DIR="$work/target" \
    cargo build --release --target "$target" -Zbuild-std=std,panic_abort >&2)

# libstd last: its presence says that all is there.
mkdir -p "$libdir"
find "$work/target/$target/release/deps" -name '*.rlib' ! -name 'libprobe-*' ! -name 'libstd-*' -exec cp {} "$libdir/" \;
cp "$work/target/$target/release/deps"/libstd-*.rlib "$libdir/"
has_std || die "the build left no libstd in $libdir"
say "installed in $libdir"
