# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# PostgreSQL with what the official image has around it.
groupadd --system --gid 999 postgres
useradd --system --gid postgres --uid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres
# No cluster of Debian's: the entrypoint makes one in PGDATA.
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends gosu locales "postgresql-$PG_MAJOR"
localedef -i en_US -c -f UTF-8 -A /usr/share/locale/locale.alias en_US.UTF-8

sample=/usr/share/postgresql/$PG_MAJOR/postgresql.conf.sample
sed -i "s/^#*listen_addresses *=.*/listen_addresses = '*'/" "$sample"
grep -q "^listen_addresses = '\*'" "$sample"
install -d -o postgres -g postgres -m 3777 /var/run/postgresql
install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data
mkdir -p /docker-entrypoint-initdb.d
install -m 0755 /mnt/recipe/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
"/usr/lib/postgresql/$PG_MAJOR/bin/postgres" --version | grep -q "(PostgreSQL) $PG_MAJOR\."
