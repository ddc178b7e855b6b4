#!/bin/sh
# Makes the locks from pyproject.toml (`make lock`), then sees that every system docs/install.md names has a wheel of each
# package. Pins that are there stay; to move them: requirements/lock.sh --upgrade, or --upgrade-package NAME.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv-tools/bin/uv}

compile() {
    set=$1
    shift
    echo "requirements/$set.txt"
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
        --emit-build-options --no-emit-index-url --no-annotate --no-header "$@" --output-file "requirements/$set.txt"
}
compile run --extra build pyproject.toml "$@"
compile demo --extra build --extra demo pyproject.toml "$@"
compile dev --extra dev pyproject.toml "$@"
compile tools --group tools "$@"

# Older releases of macOS than 14 get no wheel of av on Apple's processors.
export MACOSX_DEPLOYMENT_TARGET=14.0
for set in run demo dev tools; do
    for version in 3.11 3.12 3.13; do
        for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin x86_64-apple-darwin; do
            echo "requirements/$set.txt: wheels for Python $version, $platform"
            "$uv" pip install --quiet --dry-run --no-deps --require-hashes --requirements "requirements/$set.txt" \
                --python-version "$version" --python-platform "$platform" --target .venv-tools/wheels
        done
    done
done
