#!/bin/sh
# progress.sh WHAT COMMAND...: runs a build that prints a line for each package
# (go build -v) and says how far it is, once a second, when it takes longer
# than that. What the build prints is shown when it fails.
set -u
what=$1
shift
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
"$@" >"$lines" 2>&1 &
build=$!
trap 'kill "$build" 2>/dev/null; exit 130' INT TERM
seconds=0
while kill -0 "$build" 2>/dev/null; do
  sleep 1
  seconds=$((seconds + 1))
  downloads=$(grep -c '^go: downloading' "$lines")
  packages=$(($(wc -l <"$lines") - downloads))
  if [ -t 2 ]; then
    printf '\r\033[K%s: %d s, %d modules fetched, %d packages compiled' "$what" "$seconds" "$downloads" "$packages" >&2
  elif [ $((seconds % 10)) -eq 0 ]; then
    printf '%s: %d s, %d modules fetched, %d packages compiled\n' "$what" "$seconds" "$downloads" "$packages" >&2
  fi
done
[ -t 2 ] && [ "$seconds" -gt 0 ] && printf '\r\033[K' >&2
wait "$build"
status=$?
[ "$status" -eq 0 ] || cat "$lines" >&2
exit "$status"
