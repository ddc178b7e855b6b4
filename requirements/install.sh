#!/bin/sh
# Installs a lock: demo or dev, with Coverbot, into .venv, or tools into .venv-tools. Make calls it; it needs no more than
# sh and Python, and says what this machine lacks. PYTHON names the Python to use.
set -eu
cd "$(dirname "$0")/.."
set_name=$1
lock=requirements/$set_name.txt
if [ "$set_name" = tools ]; then home=.venv-tools; else home=.venv; fi

fail() {
    printf 'coverbot: %s\n' "$1" >&2
    exit 1
}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
complete() { recent "$1" && "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# lacks WHAT own|newer|VERSION: ends, and says how to install the system's own Python, one that is new enough, or that
# version, each with all it takes.
lacks() {
    sudo=
    [ "$(id -u)" = 0 ] || sudo='sudo '
    if [ "$(uname)" = Darwin ]; then
        before='brew install python@' own=3.13 newer=3.13 after=', or the installer from python.org'
    elif command -v apt-get >/dev/null; then
        before="${sudo}apt update && ${sudo}apt install python" own=3 newer=3.11 after=-venv
    elif command -v dnf >/dev/null; then
        before="${sudo}dnf install python" own=3 newer=3.12 after=
    else
        before="your system's packages of Python " own='3.11 or newer' newer='3.11 or newer' after=', with its modules venv and ensurepip'
    fi
    case $2 in own) set -- "$1" "$own" ;; newer) set -- "$1" "$newer" ;; esac
    fail "$1. Install it, then try again: $before$2$after"
}

# Leaves the first Python that will do in $python; if there is none, says why and ends.
find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.13 python3.12 python3.11; fi
    for python in "$@"; do
        if complete "$python"; then return; fi
    done
    for python in "$@"; do
        if recent "$python"; then
            lacks "$python lacks venv or ensurepip, so it cannot make a virtual environment" "$(named "$python")"
        fi
    done
    if "$1" -c '' 2>/dev/null; then lacks "Coverbot needs Python 3.11 or newer, and $1 is older" newer; fi
    lacks "Coverbot needs Python 3.11 or newer, and there is no $1 that starts" "$(named "$1")"
}

# named PYTHON: the version in a name such as python3.13, if it is new enough, else own.
named() {
    name=${1##*/}
    case $name in python3.1[1-9]) echo "${name#python}" ;; *) echo own ;; esac
}

version() { "$1" -V 2>&1 || true; }

# Minimal systems have no cmp.
same() { [ "$(cat "$1")" = "$(cat "$2")" ]; }

# Whether what is there will do: what another Python or an older lock has left behind must not stay beside this lock.
usable() {
    $home/bin/python -c 'import pip' 2>/dev/null || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version $home/bin/python)" ] || return 1
    for installed in demo dev tools; do
        [ ! -e "$home/$installed" ] || same "requirements/$installed.txt" "$home/$installed" || return 1
    done
}

if ! usable; then
    find_python
    echo "Making a virtual environment in $home, with $(version "$python"):"
    "$python" -m venv --clear $home || fail "$python could not make $home, as it says above"
fi

pip() { $home/bin/python -m pip --disable-pip-version-check "$@"; }

echo "Installing the packages of $lock, a minute or so the first time:"
# Who wants to see the demo waits a third less where only what is used is compiled, when it is used.
compile=--compile
if [ "$set_name" = demo ]; then compile=--no-compile; fi
pip install $compile --no-deps --require-hashes -r "$lock" ||
    fail "pip could not install the packages, as it says above; docs/install.md says under \"Which systems\" what is tested"
if [ "$set_name" != tools ]; then
    echo "Installing Coverbot itself:"
    pip install --quiet --no-deps --no-build-isolation --editable .
fi
pip check || fail "the packages in $home do not fit each other, as pip says above"
cp "$lock" "$home/$set_name"
# dev holds everything that demo does.
if [ "$set_name" = dev ]; then cp requirements/demo.txt $home/demo; fi
