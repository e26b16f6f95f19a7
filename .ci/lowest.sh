#!/usr/bin/env bash
# The lowest versions that pyproject.toml names are installed, and the quick tests run on them.
# Called from the checkout: lowest.sh WORK_FOLDER
set -euo pipefail

work=$1
# Later Pythons have no wheels of the oldest versions.
for minor in 11 12; do
  python=$(bash .ci/interpreters.sh | grep "^3.$minor " | cut -d' ' -f2) && break
done
if [ -z "${python:-}" ]; then
  echo "skipped: there is neither Python 3.11 nor 3.12, and later ones have no wheels of the lowest versions"
  exit 0
fi
"$python" .ci/lowest.py >"$work/lowest.txt"
"$python" -m venv "$work/lowest"
"$work/lowest/bin/pip" install --quiet --disable-pip-version-check --constraint "$work/lowest.txt" -e '.[test]'
echo "the lowest versions on $("$python" --version):"
"$work/lowest/bin/pip" freeze | grep -i -F -f <(sed 's/==.*/==/' "$work/lowest.txt") | paste -s -d ' '
"$work/lowest/bin/python" -m pytest -q -p no:cacheprovider tests/unit tests/contract
