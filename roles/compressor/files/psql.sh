#!/bin/sh
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: psql.sh SERVICE COMPOSE_FILE DATABASE, in the project's directory
# Run the standard input as the owner of the database in the service's container. The image lets in whoever it was made
# with, and without DATABASE takes the database that it was made with.
id=$(docker compose ${2:+-f "$2"} ps -q "$1" | head -n 1)
if [ -z "$id" ]; then
    echo "the service $1 does not run in $PWD; start it and run again" >&2
    exit 1
fi
# shellcheck disable=SC2016
exec docker exec --interactive "$id" sh -c '
    user=${POSTGRES_USER:-}
    [ -n "$user" ] || [ -z "${POSTGRES_USER_FILE:-}" ] || user=$(cat "$POSTGRES_USER_FILE")
    name=${1:-${POSTGRES_DB:-}}
    [ -n "$name" ] || [ -z "${POSTGRES_DB_FILE:-}" ] || name=$(cat "$POSTGRES_DB_FILE")
    user=${user:-postgres}
    exec psql -XqAt -v ON_ERROR_STOP=1 -v VERBOSITY=terse -U "$user" -d "${name:-$user}" -f -
' sh "$3"
