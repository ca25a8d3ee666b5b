#!/usr/bin/env bash
# Builds the environment that the Makefile's targets run in: tools/setup.sh FOLDER PYTHON TORCH EXTRAS
#   tools/setup.sh .venv python3 torch==2.13.0 hf,scoring,dev
# PYTHON may be empty: the newest of python3, python3.13, python3.12, python3.11 that will do. Nothing is made before a
# Python is found that will do, and an environment of another Python is made anew, so that a retry never keeps a bad one.
set -euo pipefail
folder=$1 wanted=$2 torch=$3 extras=$4
here=$(cd "$(dirname "$0")/.." && pwd)

will_do() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
version() { "$1" -c 'import sys; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null || echo "none that starts"; }
stop() { printf '%s\n' "$@" >&2; exit 1; }

if [ -n "$wanted" ]; then
  command -v "$wanted" >/dev/null 2>&1 || stop "PYTHON=$wanted: there is no such program" "-> make PYTHON=/path/to/python3.12 ..."
  will_do "$wanted" || stop "PYTHON=$wanted is Python $(version "$wanted"), and 3.11 or newer is needed" "-> make PYTHON=python3.12 ..."
  python=$wanted
else
  python=
  for name in python3 python3.13 python3.12 python3.11; do
    if will_do "$name"; then python=$name; break; fi
  done
  [ -n "$python" ] || stop "Python 3.11 or newer is needed; python3 here is $(version python3)" \
    "-> install one (Debian, Ubuntu: apt install python3.12 python3.12-venv) and name it: make PYTHON=python3.12 ..."
fi

if [ -e "$folder" ] || [ -L "$folder" ]; then
  [ -e "$folder/pyvenv.cfg" ] || [ -z "$(ls -A "$folder" 2>/dev/null)" ] || stop "$folder is there and is no Python environment: move it away"
  reason=
  if ! will_do "$folder/bin/python"; then
    reason="its Python is $(version "$folder/bin/python")"
  elif [ -n "$wanted" ] && [ "$(version "$wanted")" != "$(version "$folder/bin/python")" ]; then
    reason="it has Python $(version "$folder/bin/python"), and PYTHON=$wanted is $(version "$wanted")"
  elif ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    reason="its making was cut short"
  fi
  if [ -n "$reason" ]; then
    echo "$folder is made anew: $reason"
    rm -rf "$folder"
  fi
fi

if [ ! -e "$folder" ]; then
  "$python" -m venv "$folder" || {
    rm -rf "$folder"
    stop "$python could not make the environment $folder (see above)" "-> Debian, Ubuntu: apt install $(basename "$python")-venv"
  }
fi

own=$folder/bin/python
if ! "$own" -c 'import uv' >/dev/null 2>&1; then
  "$own" -m pip install --quiet --disable-pip-version-check 'uv>=0.8' 2> >(grep -v 'is ignored: it is' >&2)
fi
echo "installing into $folder: ${torch:-torch}, then the runner with $extras (the first time also the downloads) ..."
install() { "$own" "$here/tools/install_with_uv.py" "$@"; }
# On its own and first: what comes after takes the build that is there, and none of several GB with CUDA.
[ -z "$torch" ] || install "$torch"
install --editable "$here[$extras]"
