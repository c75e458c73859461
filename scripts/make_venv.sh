#!/bin/sh
# Usage: make_venv.sh FOLDER [PYTHON]. Creates a virtual environment with PYTHON, or with the first Python >= 3.11 found.
set -eu
folder=$1
wanted=${2:-}

works() { # is it there, new enough, and able to create environments?
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -n "$wanted" ]; then
    works "$wanted" || { echo "PYTHON=$wanted is not a Python >= 3.11 with venv and pip." >&2; exit 1; }
    python=$wanted
else
    python=
    for candidate in python3.11 python3 python3.12 python3.13 python3.14 python; do
        if works "$candidate"; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then
        echo "Candor needs Python >= 3.11 with venv and pip, and none was found on the PATH." >&2
        echo "Install one (Debian, Ubuntu: apt-get install python3-venv) or name it: make run PYTHON=/path/to/python3.11" >&2
        exit 1
    fi
fi
echo "Creating $folder with $("$python" -V) ..."
"$python" -m venv "$folder" || { rm -rf "$folder"; exit 1; }
