#!/bin/sh
# Makes the namespace and the search attributes of our workflows; both may be
# there already.
set -eu
until temporal operator cluster health >/dev/null 2>&1; do sleep 1; done
temporal operator namespace describe -n default >/dev/null 2>&1 || temporal operator namespace create -n default
for attribute in Pipeline ViewName RunKind EventDayFrom EventDayTo; do
  temporal operator search-attribute create -n default --name "$attribute" --type Keyword || true
done
