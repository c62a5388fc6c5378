#!/bin/sh
# install.sh packages EXTRAS   what pyproject.toml wants, into /opt/timbre; seldom changes, so it is a layer of its own
# install.sh code              this project's own modules on top of it
#
# Wheels come from /wheelhouse when it holds any (then no network is asked), else from the package index.
set -eu

build=/opt/build venv=/opt/timbre

install() {
    # The venv that is shipped has no pip in it: nothing installs anything in a running container.
    "$build/bin/pip" --python "$venv/bin/python" install --no-cache-dir --quiet "$@"
}

case $1 in
packages)
    if ls /wheelhouse/*.whl >/dev/null 2>&1; then
        export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheelhouse
    fi
    python3 -m venv "$build"
    "$build/bin/pip" install --no-cache-dir --quiet 'setuptools>=68,<81' wheel
    python3 -m venv --without-pip "$venv"
    python3 docker/requirements.py "$2" >"$build/requirements.txt"
    # Both builds of ONNX Runtime in the same version; the list was made on a machine that has the one for the CPU.
    sed 'p; s/^onnxruntime==/onnxruntime-gpu==/; t; d' constraints.txt >"$build/constraints.txt"
    install -c "$build/constraints.txt" -r "$build/requirements.txt"
    # The tests of numpy and scipy are a tenth of all packages and are never imported.
    find "$venv" -type d -name tests \( -path '*/numpy/*' -o -path '*/scipy/*' \) -prune -exec rm -rf {} +
    ;;
code)
    "$build/bin/pip" wheel --no-cache-dir --quiet --no-deps --no-build-isolation -w "$build/own" .
    install --no-deps --no-index "$build"/own/timbre-*.whl
    mkdir -p /var/cache/timbre
    ;;
*)
    echo "install.sh: packages EXTRAS, or code" >&2
    exit 2
    ;;
esac
