#!/bin/sh
# Installs a lock and Coverbot into .venv: requirements/install.sh demo|dev. Make calls it; it needs no more than sh and
# Python, and says what this machine lacks. PYTHON names the Python to use.
set -eu
cd "$(dirname "$0")/.."
set_name=$1
lock=requirements/$set_name.txt

fail() {
    printf 'coverbot: %s\n' "$1" >&2
    exit 1
}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
complete() { recent "$1" && "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# lacks WHAT DEBIAN FEDORA MACOS: the packages that mend it.
lacks() {
    sudo=
    [ "$(id -u)" = 0 ] || sudo='sudo '
    if [ "$(uname)" = Darwin ]; then
        mend="brew install $4 (or the installer from python.org)"
    elif command -v apt-get >/dev/null; then
        mend="${sudo}apt update && ${sudo}apt install $2"
    elif command -v dnf >/dev/null; then
        mend="${sudo}dnf install $3"
    else
        mend="Python 3.11 or newer, with its modules venv and ensurepip, as your system packages them"
    fi
    fail "$1. Install it, then try again: $mend"
}

# Leaves the first Python that can do it in $python; if there is none, says why and ends.
find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.13 python3.12 python3.11; fi
    for python in "$@"; do
        if complete "$python"; then return; fi
    done
    name=${1##*/}
    for python in "$@"; do
        if recent "$python"; then
            name=${python##*/}
            lacks "$python cannot make virtual environments: it lacks venv or ensurepip" "$name-venv" "$name" python@3.13
        fi
    done
    if ! command -v "$1" >/dev/null; then
        lacks "there is no $1 on this machine" "$name-venv" "$name" "python@${PYTHON:+${name#python}}"
    fi
    lacks "Coverbot needs Python 3.11 or newer, and $1 is older" python3.11-venv python3.12 python@3.13
}

version() { "$1" -V 2>&1 || true; }

# What another Python, or an older lock, has left behind must not stay beside this lock.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 ||
    { [ -n "${PYTHON:-}" ] && [ "$(version "$PYTHON")" != "$(version .venv/bin/python)" ]; } ||
    { [ -e ".venv/$set_name" ] && ! cmp -s "$lock" ".venv/$set_name"; }; then
    find_python
    echo "Setting up, once. A virtual environment in .venv, with $(version "$python"):"
    "$python" -m venv --clear .venv || fail "$python could not make .venv, as it says above"
fi

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

echo "Installing the packages of $lock, a minute or so the first time:"
pip install --no-deps --require-hashes -r "$lock" ||
    fail "pip could not install the packages, as it says above; once that is mended, try again"
echo "Installing Coverbot itself:"
pip install --quiet --no-deps --no-build-isolation --editable .
pip check || fail "the packages in .venv do not fit each other, as pip says above"
cp "$lock" ".venv/$set_name"
# dev holds everything that demo does.
if [ "$set_name" = dev ]; then cp requirements/demo.txt .venv/demo; fi
