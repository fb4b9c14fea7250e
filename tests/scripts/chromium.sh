#!/usr/bin/env bash
# Prints the path of a browser for tests: $CHROMIUM, one on PATH, or Debian's package, which is fetched once and unpacked into a cache folder
# without being installed.
set -euo pipefail

say() { printf 'chromium: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
other="install Chromium 137 or newer (apt-get install chromium), or set CHROMIUM to one"

if [ -n "${CHROMIUM:-}" ]; then
    [ -x "$CHROMIUM" ] || die "CHROMIUM=$CHROMIUM is not a program"
    echo "$CHROMIUM"
    exit 0
fi
for name in chromium chromium-browser google-chrome; do
    if command -v "$name"; then exit 0; fi
done

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/session-repository
kept=$cache/chromium
if [ -x "$kept/run" ]; then
    echo "$kept/run"
    exit 0
fi

# Elsewhere the package of that name is none, or one that only points to another store.
grep -qs '^ID=debian$' /etc/os-release && command -v apt-get >/dev/null && command -v dpkg >/dev/null || die "none on PATH, and none to fetch on this system: $other"
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
# With lists of the script's own: those of the machine may be missing or old, and stay as they are.
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial"
apt=(-o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt" -o APT::Sandbox::User=root -o Acquire::Languages=none)
apt-get "${apt[@]}" -qq update >&2 || die "apt-get cannot fetch the lists of packages: $other"
missing=$(apt-get "${apt[@]}" install --simulate --no-install-recommends chromium 2>/dev/null | awk '/^Inst /{ print $2 }') || missing=
[ -n "$missing" ] || die "none on PATH, and apt-get knows none: $other"
say "fetching Debian's package and the packages that it lacks here, $(wc -w <<<"$missing") in all (more than a hundred megabytes)"
# shellcheck disable=SC2086 # one word a package
(cd "$work" && apt-get "${apt[@]}" download --quiet=2 $missing >&2) || die "apt-get cannot fetch it: $other"
rm -rf "$work/apt"
for package in "$work"/*.deb; do dpkg --extract "$package" "$work/root"; done
rm "$work"/*.deb
cat >"$work/run" <<'RUN'
#!/usr/bin/env bash
root=$(cd "$(dirname "$0")" && pwd)/root/usr
libraries=$(echo "$root"/lib/*-linux-gnu)
export LD_LIBRARY_PATH=$libraries:$libraries/pulseaudio${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
exec "$root/lib/chromium/chromium" "$@"
RUN
chmod +x "$work/run"
"$work/run" --version >/dev/null || die "what was fetched does not run here (see what it needs above): $other"
rm -rf "$kept"
trap - EXIT
chmod 755 "$work"
mv "$work" "$kept"
say "kept as $kept"
echo "$kept/run"
