#!/bin/sh
# Print a Python that can make the book's virtual environment: 3.11 or newer, with venv and pip.
# The variable PYTHON, when set, is tried first.
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
        >/dev/null 2>&1; then
        command -v "$candidate"
        exit 0
    fi
done
cat >&2 <<'MESSAGE'
No Python 3.11 or newer with venv and pip was found.
What to do: install one (Debian, Ubuntu: apt install python3 python3-venv; macOS, Windows:
python.org), or name the one to use: make book PYTHON=/path/to/python3.12
MESSAGE
exit 1
