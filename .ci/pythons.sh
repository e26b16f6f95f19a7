#!/usr/bin/env bash
# The tests on the other Pythons that the package is for and this machine has; where it has none, on that of a
# Debian 13 root, which debootstrap makes from the mirror of this machine's own apt.
# Called from the checkout: pythons.sh PYTHON WORK_FOLDER
set -euo pipefail

python=$1
work=$2
quick=(tests/unit tests/contract)
# What differs between Pythons is processes, signals, streams and SQLite; the whole is run on this one.
more=(tests/integration/{service/test_bare_requests,engine/test_run,engine/test_renewal,engine/test_operations_run,verify/test_verify}.py
  tests/thorough/{nights/test_living_export,processes/test_streams,processes/test_airflow_child,servers/test_shared_rate}.py)

# The README's second command on another Python, with an environment of its own.
try() {
  local environment=$work/python-$1
  "$2" -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check -e '.[test]'
  "$environment/bin/python" -m pytest -q -n auto --dist worksteal -p no:cacheprovider "${@:3}"
}

debian_13() {
  local root=$work/debian-13 mirror
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "skipped: a Debian 13 root needs root and apt"; return; }
  unshare --mount --pid --fork true 2>/dev/null || { echo "skipped: a Debian 13 root needs mounts of its own"; return; }
  command -v debootstrap >/dev/null || apt-get install --yes --no-install-recommends debootstrap >/dev/null 2>&1 ||
    { echo "skipped: debootstrap cannot be installed"; return; }
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m 1 '/debian/\?$') ||
    { echo "skipped: apt knows no mirror of Debian here"; return; }
  debootstrap --variant=minbase --include=python3-venv,ca-certificates trixie "$root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
    { echo "skipped: no Debian 13 from apt's mirror: $(tail -n 1 "$work/debootstrap.log")"; return; }
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  mkdir "$root/checkout"
  git archive HEAD | tar -x -C "$root/checkout"
  chroot "$root" useradd --create-home tester
  chroot "$root" chown -R tester /checkout
  # Mounts and processes end with their namespaces, whatever happens in there. The user is none of note.
  unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
    mount -t proc proc "$1/proc"
    mkdir -p "$1/dev/shm"
    mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
    exec chroot "$1" su tester -c "
      cd /checkout && python3 -m venv ~/venv && PATH=~/venv/bin:\$PATH &&
      pip install --quiet -e .[test] && python -m pytest -q -p no:cacheprovider $2"
  ' bash "$root" "${quick[*]} ${more[*]}"
}

own=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
others=$(bash .ci/interpreters.sh | grep -v "^$own " || true)
if [ -z "$others" ]; then
  echo "this machine has no Python but $own"
  debian_13
  exit
fi
newest=$(tail -n 1 <<<"$others" | cut -d' ' -f1)
while read -r version path; do
  echo "== Python $version"
  if [ "$version" = "$newest" ]; then
    try "$version" "$path" "${quick[@]}" "${more[@]}"
  else
    # Between two that run more than these: what breaks on one of them is seen there, and an hour is short.
    try "$version" "$path" -m quick "${quick[@]}"
  fi
done <<<"$others"
