#!/usr/bin/env bash
# Ask for known vulnerabilities of every locked package. Exit code 1: there is one that ci/advisories.txt does not name, or a
# package that could not be asked about (no network): silence is no proof.
#
#   ci/advisories.sh .venv/bin [LOCK...]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1
shift
[ $# -gt 0 ] || set -- docker/*.lock
mapfile -t accepted < <(sed 's/#.*//' ci/advisories.txt | awk 'NF {print "--ignore-vuln"; print $1}')
found=0
for lock in "$@"; do
    echo "== $lock"
    "$bin/python" -m pip_audit --strict --require-hashes --disable-pip --progress-spinner off "${accepted[@]}" -r "$lock" || found=1
done
exit "$found"
