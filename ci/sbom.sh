#!/usr/bin/env bash
# Write the bill of materials of an image's Python packages as CycloneDX JSON. Nothing of the image is run.
#
#   ci/sbom.sh ROOT OUTPUT [CYCLONEDX]
#
# ROOT: the image's file system (`buildah mount`, `podman image mount`); CYCLONEDX: the program cyclonedx-py.
set -euo pipefail
root=$1 output=$2 program=${3:-cyclonedx-py}
packages=$(echo "$root"/opt/timbre/lib/python3*/site-packages)
[ -d "$packages" ] || { echo "$root: no packages under /opt/timbre" >&2; exit 1; }
# The program asks an interpreter for its path of modules; that of the image need not run on this machine.
interpreter=$(mktemp)
trap 'rm -f "$interpreter"' EXIT
printf '#!/bin/sh\necho '\''["%s"]'\''\n' "$packages" >"$interpreter"
chmod +x "$interpreter"
"$program" environment --output-reproducible --of JSON -o "$output" "$interpreter"
