#!/usr/bin/env bash
# The example DAGs and operators with real Airflows, each in a virtual environment and with a database of its
# own: `.ci/airflow.sh`, or `.ci/airflow.sh 3` for one of them. Nothing but Python and pip is needed.
set -euo pipefail

python=${PYTHON:-python3}
source_tree=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH PYTEST_ADDOPTS VIRTUAL_ENV PYTHONDONTWRITEBYTECODE
# A worker's own settings and credentials have no say here.
for name in $(compgen -e | grep -E '^(_?AIRFLOW_|ALIBABA_CLOUD_|BATCHSEARCH_)' || true); do unset "$name"; done

step() { printf '\n== %s\n' "$*"; }

try() {
  local release=$1 home=$work/$1
  shift
  step "Airflow $release: install"
  "$python" -m venv "$home/venv"
  (
    export PATH="$home/venv/bin:$PATH"
    pip install --quiet --disable-pip-version-check --no-compile "$source_tree[dedup,emulator]" pytest pytest-timeout "$@"

    # From here on nothing leaves this machine.
    export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1,localhost
    export HOME=$home TMPDIR=$home/tmp XDG_RUNTIME_DIR=$home/run
    # Compiled once and for all processes, and nothing is written beside the sources.
    export PYTHONPYCACHEPREFIX=$home/compiled
    export AIRFLOW_HOME=$home/airflow AIRFLOW__CORE__DAGS_FOLDER=$source_tree/configs/airflow
    export AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
    mkdir -p "$TMPDIR" && mkdir -m 700 "$XDG_RUNTIME_DIR"
    airflow version
    airflow db migrate >"$home/migrate.log" 2>&1 || { cat "$home/migrate.log"; exit 1; }

    step "Airflow $release: the example DAGs run, are killed and resume"
    cd "$source_tree/tests/airflow"
    python -m pytest -c pytest.ini --basetemp "$home/pytest" --show-capture=no "${select[@]}"
  )
}

releases=${1:-3 2.11}
select=("${@:2}")
for release in $releases; do
  case $release in
    3)
      try 3 'apache-airflow>=3' apache-airflow-providers-alibaba apache-airflow-providers-cncf-kubernetes \
        apache-airflow-providers-openlineage
      ;;
    2.11)
      try 2.11 'apache-airflow==2.11.*' apache-airflow-providers-cncf-kubernetes
      ;;
    *) echo "$0: Airflow $release is not tried; 3 and 2.11 are" >&2; exit 2 ;;
  esac
done
