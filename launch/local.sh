#!/usr/bin/env bash
# Starts a command of mmssl as N processes on this machine, which train as one:
#   launch/local.sh 2 mmssl train --config demo --distributed
# The first prints. Where one fails, all end, and so does this with its exit code.
set -u
if [ $# -lt 2 ] || ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
count=$1
shift
port=${PORT:-$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')}
started=()
trap 'kill -TERM "${started[@]}" 2>/dev/null' TERM
for ((process = 0; process < count; process++)); do
  "$@" --coordinator "127.0.0.1:$port" --processes "$count" --process "$process" &
  started+=($!)
done
code=0
for each in "${started[@]}"; do
  while kill -0 "$each" 2>/dev/null; do # a signal to this script ends a wait, not the process
    wait "$each"
  done
  wait "$each" 2>/dev/null || code=$?
done
exit $code
