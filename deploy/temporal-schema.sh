#!/bin/sh
# Makes Temporal's two databases, or brings them up to date.
set -eu
tool() { temporal-sql-tool --plugin postgres12 --ep postgres -u temporal -p 5432 --db "$@"; }
for pair in temporal:temporal temporal_visibility:visibility; do
  db=${pair%%:*} schema=${pair##*:}
  tool "$db" create
  tool "$db" setup-schema -v 0.0 || true # it is there already at the second start
  tool "$db" update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
