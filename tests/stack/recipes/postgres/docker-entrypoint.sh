#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make a database cluster where PGDATA holds none, then become PostgreSQL: what the official image does.
#
# Environment, which counts only where a cluster is made: POSTGRES_PASSWORD, POSTGRES_USER (postgres),
# POSTGRES_DB (the user's name), POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD (password_encryption's);
# each may be given as NAME_FILE, the path of a file that holds it.

set -euo pipefail

die() {
    printf 'docker-entrypoint: %s\n' "$1" >&2
    exit 1
}

# value NAME [DEFAULT]: what the variable NAME says, or the file that NAME_FILE names.
value() {
    local plain=${!1:-} from=$1_FILE
    from=${!from:-}
    [ -z "$plain" ] || [ -z "$from" ] || die "set $1 or $1_FILE, not both"
    if [ -n "$from" ]; then
        cat "$from" || die "cannot read the file of $1"
    else
        printf '%s' "${plain:-${2:-}}"
    fi
}

# Run the files of /docker-entrypoint-initdb.d, in the order of their names.
run_init_files() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh)
                if [ -x "$file" ]; then
                    "$file"
                else
                    # shellcheck source=/dev/null
                    . "$file"
                fi
                ;;
            *.sql) psql_as_owner "$POSTGRES_DB" --file "$file" ;;
            *.sql.gz) gunzip --stdout "$file" | psql_as_owner "$POSTGRES_DB" ;;
        esac
    done
}

# psql_as_owner DATABASE [ARGUMENT ...]
psql_as_owner() {
    local database=$1
    shift
    psql --no-psqlrc --no-password --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$database" "$@"
}

make_cluster() {
    local password method
    POSTGRES_USER=$(value POSTGRES_USER postgres)
    POSTGRES_DB=$(value POSTGRES_DB "$POSTGRES_USER")
    POSTGRES_INITDB_ARGS=$(value POSTGRES_INITDB_ARGS)
    password=$(value POSTGRES_PASSWORD)
    export POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS
    method=${POSTGRES_HOST_AUTH_METHOD:-}
    [ -n "$password" ] || [ "$method" = trust ] ||
        die 'a new database needs a superuser password: set POSTGRES_PASSWORD to one that is not empty'

    # Its arguments come as one text, quoted as for a shell.
    eval "initdb --username=\"\$POSTGRES_USER\" --pwfile=<(printf '%s\n' \"\$password\") $POSTGRES_INITDB_ARGS"
    # initdb itself trusts the socket and 127.0.0.1; everybody else needs the password.
    printf '\nhost all all all %s\n' "${method:-$(postgres -C password_encryption)}" >>"$PGDATA/pg_hba.conf"

    # On the socket alone: nobody else may meet a database that is half made.
    PGPASSWORD=$password pg_ctl --pgdata="$PGDATA" --wait start \
        --options="-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql"
    if [ "$POSTGRES_DB" != postgres ]; then
        psql_as_owner postgres --set name="$POSTGRES_DB" <<'SQL'
CREATE DATABASE :"name";
SQL
    fi
    run_init_files
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

[ "${1:0:1}" != - ] || set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 0700 "$PGDATA"
    chmod 3775 /var/run/postgresql
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
    # A secret's file may be root's alone: it is read before root is given up.
    for name in POSTGRES_USER POSTGRES_DB POSTGRES_PASSWORD POSTGRES_INITDB_ARGS; do
        from=${name}_FILE
        if [ -n "${!from:-}" ]; then
            read_value=$(value "$name")
            export "$name=$read_value"
            unset "$from"
        fi
    done
    exec gosu postgres "${BASH_SOURCE[0]}" "$@"
fi

[ -s "$PGDATA/PG_VERSION" ] || make_cluster
exec "$@"
