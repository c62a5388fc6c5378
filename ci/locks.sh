#!/usr/bin/env bash
# Write docker/*.lock: every package of an image in the version of constraints.txt, with the hashes of all its files.
#
#   ci/locks.sh .venv/bin
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

lock() {
    local name=$1
    echo "== docker/$name.lock"
    # Both builds of ONNX Runtime in the same version; the list was made on a machine that has the one for the CPU.
    sed 'p; s/^onnxruntime==/onnxruntime-gpu==/; t; d' constraints.txt >"$work/constraints.txt"
    # Ubuntu 24.04, which serve-gpu stands on, has Python 3.12: pins for it instead of those for 3.11.
    [ "$name" != serve-gpu ] ||
        sed -i "/python_version < '3.12'/d; s/; python_version >= '3.12'//" "$work/constraints.txt"
    # Hashes of versions that stay are taken from the lock that is there: an index without a JSON interface would have
    # every file of every package downloaded for them.
    [ ! -e "docker/$name.lock" ] || cp "docker/$name.lock" "$work/$name.lock"
    # Wheels of this machine do not count: the index decides.
    PIP_FIND_LINKS='' "$bin/python" -m piptools compile --quiet --generate-hashes --no-annotate --no-header --allow-unsafe \
        --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --constraint "$work/constraints.txt" \
        --output-file "$work/$name.lock" "$work/$name.in"
    mv "$work/$name.lock" "docker/$name.lock"
}

printf 'setuptools>=68,<81\nwheel\n' >"$work/build.in"
"$bin/python" docker/requirements.py serve-cpu,s3,keys,stream,zero-shot,wyoming >"$work/serve.in"
"$bin/python" docker/requirements.py serve-gpu,s3,keys,stream,zero-shot,wyoming >"$work/serve-gpu.in"
# torch brings its CUDA libraries: the lock is for the machine that makes it, Linux on amd64 as the runners are. Where
# the index has no JSON interface, pip-tools downloads every file to hash it, which is gigabytes here.
"$bin/python" docker/requirements.py train,serve-cpu,asia,deepfilternet >"$work/train.in"
for name in ${2:-build serve serve-gpu train}; do
    lock "$name"
done
