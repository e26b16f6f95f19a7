#!/bin/sh
# One night from cron: night.sh COMMAND JOB.yaml LOG
# Tries again what passes, says nothing when all is well, and one line when somebody has to look.
# A second one over the same output exits at once: the run holds it (75).
set -u

batchsearch=${BATCHSEARCH:-/opt/batchsearch/bin/batchsearch}
credentials=${CREDENTIALS:-/etc/batchsearch/credentials.env}
tries=${TRIES:-6}
pause=${PAUSE:-600}
command=$1 job=$2 log=$3

set -a
[ ! -r "$credentials" ] || . "$credentials"
set +a

run=
stop=
trap 'stop=yes signalled=yes; [ -z "$run" ] || kill -TERM "$run"' TERM INT HUP

code=4
while [ -z "$stop" ] && [ "$tries" -gt 0 ]; do
  tries=$((tries - 1))
  signalled=
  "$batchsearch" "$command" "$job" --no-progress --log-format json >>"$log" 2>&1 &
  run=$!
  # A signal that came before the process had a number is handed on now.
  [ -z "$stop" ] || kill -TERM "$run"
  wait "$run"; code=$?
  # A signal ends the wait, not the run, which stops in good order; 127: it has been waited for.
  while [ -n "$signalled" ]; do
    signalled=
    wait "$run"; again=$?
    [ "$again" -eq 127 ] || code=$again
  done
  run=
  case $code in
    0) exit 0 ;;                # done
    4) exit 0 ;;                # the window has closed: the next night goes on
    3 | 5 | 6 | 64 | 65) break ;; # another try would end the same way
  esac
  [ -n "$stop" ] || [ "$tries" -eq 0 ] || sleep "$pause"
done
echo "batchsearch $command $job ended with exit code $code: see $log"
exit "$code"
