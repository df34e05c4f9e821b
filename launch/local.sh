#!/usr/bin/env bash
# Starts a command of mmssl as N processes on this machine, which train as one:
#   launch/local.sh 2 mmssl train --config demo --distributed
# The first prints. Where one fails, all end, and so does this, with the exit code of the first that failed.
set -u
if [ $# -lt 2 ] || ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
count=$1
shift
free='import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
port=${PORT:-$(python3 -c "$free")} || exit 2
left=()
trap 'kill -TERM "${left[@]}" 2>/dev/null' TERM
for ((process = 0; process < count; process++)); do
  "$@" --coordinator "127.0.0.1:$port" --processes "$count" --process "$process" &
  left+=($!)
done
code=0
until=never
while [ ${#left[@]} -gt 0 ]; do
  sleep 0.2
  for index in "${!left[@]}"; do
    kill -0 "${left[index]}" 2>/dev/null && continue
    wait "${left[index]}" 2>/dev/null
    status=$?
    if [ $status != 0 ] && [ $until = never ]; then
      code=$status
      until=$((SECONDS + 60))
    fi
    unset "left[index]"
  done
  # The others notice by themselves, but for those that are stuck.
  if [ $until != never ] && [ $SECONDS -gt "$until" ]; then
    kill -KILL "${left[@]}" 2>/dev/null
  fi
done
exit $code
