#!/bin/sh
# Make .venv, unless the one that is there works in this folder. The argument is its Python.
set -e
venv_python=$1
if [ -f .venv/pyvenv.cfg ] && "$venv_python" -m pip --version >/dev/null 2>&1 &&
    [ "$(cat .venv/made-in 2>/dev/null || pwd)" = "$(pwd)" ]; then
    exit 0
fi
python=$(sh tools/find_python.sh)
if [ -e .venv ]; then
    echo "The folder .venv was made elsewhere or does not work: making it again"
fi
"$python" tools/step.py "Making the virtual environment .venv" -- "$python" -m venv --clear .venv
pwd >.venv/made-in
