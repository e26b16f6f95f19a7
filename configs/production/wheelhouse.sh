#!/bin/sh
# Collect the wheels of batchsearch and of all that it needs, and pin them: wheelhouse.sh [EXTRAS] [FOLDER]
#
# Run it from the checkout, where there is a network, with the same Python and system as the image's. In doubt:
#
#     docker run --rm -v "$PWD:/src" -w /src python:3.13-slim-trixie sh configs/production/wheelhouse.sh
#
# After that the folder is all that an installation needs: no network, no index.
set -eu

extras=${1:-credentials,metrics,s3}
folder=${2:-wheelhouse}
python=${PYTHON:-python3}

rm -rf "$folder"
mkdir -p "$folder"
"$python" -m pip wheel --quiet --disable-pip-version-check --wheel-dir "$folder" ".[$extras]"

# Every wheel by name, version and content: pip refuses any other, or one that has changed.
for wheel in "$folder"/*.whl; do
  name=$(basename "$wheel" | cut -d- -f1)
  version=$(basename "$wheel" | cut -d- -f2)
  [ "$name" != batchsearch ] || name="batchsearch[$extras]"
  printf '%s==%s --hash=sha256:%s\n' "$name" "$version" "$(sha256sum "$wheel" | cut -d' ' -f1)"
done >"$folder/requirements.txt"
wc -l "$folder/requirements.txt"
