#!/usr/bin/env bash
# Install the Python client in a folder of its own.
#
# usage: setup.sh DIR
#
# PYTHON chooses the interpreter (python3; 3.11 or newer). Running it again does
# nothing unless one of the files here, or the interpreter, has changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:?usage: setup.sh DIR}
python=${PYTHON:-python3}

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
marker=$dir/.gatewire-python
if [ -n "$(ls -A "$dir")" ] && [ ! -e "$marker" ]; then
  echo "setup.sh: $dir is not empty and was not made by this script" >&2
  exit 2
fi

if command -v flock >/dev/null 2>&1; then    # two runs at once must not mix
  exec 9>"$dir.lock"
  flock 9
fi

want=$(cat "$here/setup.sh" "$here/requirements.txt")$("$python" --version)
if [ "$(cat "$marker" 2>/dev/null || true)" = "$want" ] && [ -x "$dir/bin/python" ]; then
  exit 0
fi

echo "installing $(tr '\n' ' ' < "$here/requirements.txt")in $dir" >&2
: > "$marker"
"$python" -m venv --clear "$dir"
: > "$marker"
PIP_DISABLE_PIP_VERSION_CHECK=1 "$dir/bin/pip" install -q --no-deps -r "$here/requirements.txt"
echo "$want" > "$marker"
