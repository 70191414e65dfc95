#!/bin/sh
# Installs what tests need beyond `make setup`: Chromium and Prometheus, from Debian's packages.
# Does nothing when both are there. On Debian 12: 31 packages, 122 MB to download, 608 MB installed, half a minute.
# Debian starts the installed Prometheus, on port 9090; tests start their own.
set -eu

missing=""
has() { command -v "$1" > /dev/null; }
has chromium-headless-shell || has chromium || has chromium-browser || has google-chrome || [ -n "${CHROMIUM_PATH:-}" ] ||
  missing="$missing chromium-headless-shell"
{ has prometheus && has promtool; } || missing="$missing prometheus"
[ -n "$missing" ] || exit 0

if ! has apt-get; then
  echo "No apt-get on this machine: install$missing another way, or set CHROMIUM_PATH to a Chromium or Chrome." >&2
  exit 1
fi
root=""
[ "$(id -u)" = 0 ] || root=sudo
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "Installing$missing ..."
# shellcheck disable=SC2086  # the list is split into its words
{
  $root apt-get update &&
    $root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
} > "$log" 2>&1 < /dev/null || {
  tail -n 20 "$log" >&2
  echo "apt-get could not install$missing; the lines above say why." >&2
  exit 1
}
