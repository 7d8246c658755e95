#!/usr/bin/env bash
# Installs the Debian packages Antin needs: `debian-packages.sh run` to use it, `… test` for the tests besides.
# Says in one line what is missing when it may not install.
set -euo pipefail

run=(softhsm2 python3-venv fonts-croscore fonts-nanum fonts-noto-core fonts-droid-fallback)
test=(gcc libc6-dev poppler-utils mupdf-tools qpdf openssl chromium postgresql gnutls-bin)

wanted=("${run[@]}")
[ "${1:-run}" = test ] && wanted+=("${test[@]}")

missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "antin: missing Debian packages; as root run: apt-get install ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "Installing ${missing[*]}"
{ apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    echo "antin: apt-get could not install: ${missing[*]}" >&2
    exit 1
}
