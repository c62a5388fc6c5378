#!/usr/bin/env bash
# Build one target of the Dockerfile, test it, describe it, scan it, sign it and push it.
#
#   ci/image.sh TARGET PLATFORMS
#
# From GitLab: CI_REGISTRY_IMAGE, CI_REGISTRY, CI_REGISTRY_USER, CI_REGISTRY_PASSWORD, CI_COMMIT_SHA, CI_COMMIT_TAG.
# Elsewhere: IMAGE=registry.example.com/timbre; PUSH=false only builds and tests.
# Optional: cyclonedx-py and syft describe; COSIGN_KEY (file or KMS address) signs; TRIVY_DB (folder of an offline database) scans, as does a network.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$1
platforms=${2:-linux/amd64}
image=${IMAGE:-${CI_REGISTRY_IMAGE:?set IMAGE or CI_REGISTRY_IMAGE}}
push=${PUSH:-true}
commit=${CI_COMMIT_SHA:-$(git rev-parse HEAD)}
version=${CI_COMMIT_TAG:-}
results=out/images
local="localhost/timbre:$target-$commit"
mkdir -p "$results"

# serve: latest, vX.Y.Z, vX.Y; the others carry their name: train, vX.Y.Z-train, ...; serve-gpu is also cuda13.
tags() {
    local suffix=""
    [ "$target" = serve ] || suffix="-$target"
    if [ "$target" = serve ]; then echo latest; else echo "$target"; fi
    [ "$target" = serve-gpu ] && echo cuda13
    if [ -n "$version" ]; then
        echo "$version$suffix"
        echo "${version%.*}$suffix"
    fi
    echo "${commit:0:12}$suffix"
}

echo "== build $target for $platforms"
buildah manifest rm "$local" >/dev/null 2>&1 || true
buildah build --layers --target "$target" --platform "$platforms" --manifest "$local" \
    --label "org.opencontainers.image.source=${CI_PROJECT_URL:-}" \
    --build-arg REVISION="$commit" ${version:+--build-arg VERSION="${version#v}"} .

echo "== test"
case $target in
serve | serve-gpu)
    # A server without a key must refuse to start on an open address: exit code 40.
    code=0
    podman run --rm "$local" serve || code=$?
    [ "$code" -eq 40 ] || { echo "$target: started without a key (exit code $code)" >&2; exit 1; }
    ;;
train)
    podman run --rm "$local" timbre --version
    podman run --rm "$local" python -c "import torch, timbre.training.lora"
    ;;
esac

echo "== SBOM"
cyclonedx=$(command -v cyclonedx-py || echo .venv/bin/cyclonedx-py)
if [ -x "$cyclonedx" ]; then
    mounted=$(podman image mount "$local")
    ci/sbom.sh "$mounted" "$results/$target.cdx.json" "$cyclonedx"
    podman image unmount "$local" >/dev/null
fi
if command -v syft >/dev/null; then
    syft "$local" -o spdx-json="$results/$target.spdx.json"
fi
if command -v trivy >/dev/null; then
    echo "== scan"
    offline=()
    [ -z "${TRIVY_DB:-}" ] || offline=(--cache-dir "$TRIVY_DB" --skip-db-update --offline-scan)
    trivy image "${offline[@]}" --exit-code 1 --severity CRITICAL --ignore-unfixed --format json \
        --output "$results/$target.scan.json" "$local"
fi

if [ "$push" != true ]; then
    tags
    exit 0
fi
[ -z "${CI_REGISTRY_PASSWORD:-}" ] ||
    buildah login -u "$CI_REGISTRY_USER" --password-stdin "$CI_REGISTRY" <<<"$CI_REGISTRY_PASSWORD"
for tag in $(tags); do
    echo "== push $image:$tag"
    buildah manifest push --all --digestfile "$results/$target.digest" "$local" "docker://$image:$tag"
done
if [ -n "${COSIGN_KEY:-}" ]; then
    echo "== sign"
    cosign sign --yes --key "$COSIGN_KEY" "$image@$(cat "$results/$target.digest")"
fi
