#!/usr/bin/env bash
# Lists the Pythons of this machine that the package is for, one of each version: "3.12 /path/to/python".
set -euo pipefail
shopt -s nullglob

seen=" "
for minor in 11 12 13 14; do
  for candidate in $(type -a -P "python3.$minor" python3 || true) "$HOME"/.pyenv/versions/3."$minor".*/bin/python \
    /opt/python/3."$minor"*/bin/python; do
    # The interpreter itself, not the script or the environment that leads to it.
    found=$("$candidate" -c 'import ensurepip, os, sqlite3, ssl, sys
print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable))' 2>/dev/null) || continue
    [[ $found == "3.$minor "* && $seen != *" 3.$minor "* ]] || continue
    seen+="3.$minor "
    echo "$found"
  done
done
