#!/bin/sh
# install.sh packages NAME   what docker/NAME.lock names, into /opt/timbre; seldom changes: a layer of its own
# install.sh code [bases]    this project's own modules and its data, in a tree each: a change costs a small layer
#
# The package index may deliver only files with the hashes in the lock (`make locks`). A folder /wheelhouse with wheels
# takes its place where there is no network (`make wheelhouse`, which checks the same hashes).
set -eu

build=/opt/build venv=/opt/timbre code=/opt/code data=/opt/data

install() {
    # The venv that is shipped has no pip in it: nothing installs anything in a running container. Bytecode is
    # compiled below.
    "$build/bin/pip" --python "$venv/bin/python" install --no-cache-dir --no-compile --quiet "$@"
}

settle() {
    # The same files give the same layer, whenever they are built.
    find "$@" -exec touch --no-dereference --date=@1000000000 {} +
}

compile() {
    # Valid whatever the time of the source is. -x REGEX: files without bytecode.
    python3 -m compileall -q --invalidation-mode unchecked-hash "$@"
}

case $1 in
packages)
    python3 -m venv "$build"
    python3 -m venv --without-pip "$venv"
    if ls /wheelhouse/*.whl >/dev/null 2>&1; then
        export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheelhouse
        hashes=''
    else
        hashes=--require-hashes
        # A few small libraries have no wheel: only this stage of the build gets a compiler.
        command -v g++ >/dev/null || {
            apt-get update && apt-get install -y --no-install-recommends gcc g++ python3-dev
        } >/dev/null
    fi
    for lock in build "$2"; do
        cp "docker/$lock.lock" "$build/$lock.txt"
        # Wheels that were made from sources have hashes of their own.
        [ -n "$hashes" ] || sed -i '/--hash=/d; s/ \\$//' "$build/$lock.txt"
    done
    # shellcheck disable=SC2086
    "$build/bin/pip" install --no-cache-dir --quiet --no-deps $hashes -r "$build/build.txt"
    # shellcheck disable=SC2086
    install --no-deps $hashes -r "$build/$2.txt"
    packages=$(echo "$venv"/lib/python3*/site-packages)
    # Never imported by anything here: tests, a neural tagger, models for Java, services of AWS that no store uses.
    find "$packages" -type d -name tests \( -path '*/numpy/*' -o -path '*/scipy/*' \) -prune -exec rm -rf {} +
    rm -rf "$packages/jieba/lac_small" "$packages/jieba/analyse/idf.txt" "$packages"/jieba/*/*.p
    if [ -d "$packages/botocore/data" ]; then
        find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d \
            ! -name s3 ! -name kms ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
    fi
    if [ "$2" != train ]; then
        # A server reads files of g2p-en and calls none of its code; of scipy it uses fft, ndimage and special.
        rm -rf "$packages/nltk" "$packages/onnxruntime/transformers" "$packages/onnxruntime/tools" \
            "$packages/onnxruntime/quantization"
        for unused in cluster datasets differentiate integrate interpolate io odr optimize signal spatial stats; do
            rm -rf "$packages/scipy/$unused"
        done
    fi
    # A package may hold a file for another Python, which does not compile and is never imported.
    compile "$packages" >/dev/null || true
    settle "$venv"
    ;;
code)
    "$build/bin/pip" wheel --no-cache-dir --quiet --no-deps --no-build-isolation -w "$build/own" .
    install --no-deps --no-index --root "$code" "$build"/own/timbre-*.whl
    own=$(echo "$code$venv"/lib/python3*/site-packages/timbre)
    # Weights, n-grams and word lists change seldom: they are a third layer.
    mkdir -p "$data${own#"$code"}/text"
    mv "$own/text/data" "$data${own#"$code"}/text/data"
    if [ "${2:-}" = bases ]; then
        cp -r "$own/bases" "$data${own#"$code"}/bases"
        # Jobs take minutes: bytecode of what every command loads is enough.
        compile "$own/core" "$own/cli"
    else
        # A server has no torch, which these rooms need, and no Git, by which the studio publishes recordings.
        rm -rf "$own/gptsovits" "$own/nano" "$own/pipeline/calibration" \
            "$own/pipeline/stages/validate" "$own/studio" "$own/training"
        rm "$own/cli/sample_run.py" "$own/cli/studio_sites.py"
        for command in export_upstream parity pretrain studio; do
            rm "$own/cli/commands/$command.py"
        done
        # Bytecode is there for what it loads at every start, not for upkeep of a registry, downloads of bases,
        # bridges, clients' recordings and languages whose packages are not here. Nothing here uninstalls, which
        # RECORD is for.
        seldom='garbage|mirror|prune|revocation|verification|run_records|stage_cache|sealed_page|hub|hub_[a-z]+'
        seldom="$seldom|copy_synthesis|speaker|absent|check|pull|resumable_download|sources|batch[a-z_]*|extras|recipe"
        seldom="$seldom|s3|s3_errors|signing_keys|scripts|japanese[a-z_]*|korean[a-z_]*|cantonese|renewal|wyoming_bridge"
        seldom="$seldom|probe|exported|table|reference|recordings|serving/consent|speaker_groups|filter_bank"
        compile -x "/($seldom)\.py\$" "$own/core" "$own/inference" "$own/pipeline/bases" "$own/registry" \
            "$own/serving"
        # The rules of how texts are read are a fifth of the code: their bytecode stands in place of their source.
        compile -b -x "/($seldom)\.py\$" "$own/text"
        find "$own/text" -name '*.pyc' | while read -r file; do rm "${file%c}"; done
        rm -f "$(dirname "$own")"/timbre-*.dist-info/RECORD
    fi
    rm -rf "$own/bases"
    settle "$code" "$data"
    mkdir -p /var/cache/timbre
    ;;
*)
    echo "install.sh: packages NAME, or code [bases]" >&2
    exit 2
    ;;
esac
