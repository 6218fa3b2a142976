# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of a new deployment, as Python because only imported Python reaches the target.

Neither holds a secret, nor a lever that the plan owns: those are added to the
written files as they are to anybody's own.
"""

from __future__ import annotations

from string import Template

__all__ = ["COMPOSE", "HOMESERVER", "SYNAPSE_USER"]

COMPOSE = Template("""\
# Matrix Synapse and its PostgreSQL. Start them with: docker compose up -d

services:
  synapse:
    image: $synapse_image
    restart: unless-stopped
    depends_on:
      db:
        condition: service_healthy
    environment:
      SYNAPSE_CONFIG_PATH: /data/homeserver.yaml
$synapse_user\
    ports:
      # This host only: a reverse proxy with TLS belongs in front of it.
      - "127.0.0.1:8008:8008"
      # Metrics, for monitoring on this host; never for the internet.
      - "127.0.0.1:9000:9000"
    volumes:
      - ./data:/data

  db:
    image: $postgresql_image
    restart: unless-stopped
    environment:
      POSTGRES_DB: synapse
      POSTGRES_USER: synapse
      # Both count only once, when the database is made.
      POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password
      POSTGRES_INITDB_ARGS: $initdb_args
    secrets:
      - postgres_password
    volumes:
      - ./postgres-data:$postgresql_volume
    healthcheck:
      # Over TCP: while the database is being made, its server listens on a socket alone.
      test: ["CMD-SHELL", "pg_isready --host=127.0.0.1 --username=synapse --dbname=synapse"]
      interval: 10s
      timeout: 5s
      retries: 6
      start_period: 1m

secrets:
  postgres_password:
    file: ./secrets/postgres_password
""")

SYNAPSE_USER = Template("""\
      # The owner of ./data, so that Synapse can read its secrets and write there.
      UID: "$uid"
      GID: "$gid"
""")

HOMESERVER = Template("""\
# Synapse's configuration. Every option is explained at
# https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html

# The part behind the colon of every user and room. It cannot be changed once the server was used.
server_name: $server_name
report_stats: false
pid_file: /data/homeserver.pid

listeners:
  # Clients and other servers, through a reverse proxy that ends TLS.
  - port: 8008
    type: http
    tls: false
    x_forwarded: true
    resources:
      - names: [client, federation]
        compress: false

  # Prometheus metrics at /_synapse/metrics: what the tuning did is read from there.
  - port: 9000
    type: metrics

enable_metrics: true

database:
  name: psycopg2
  args:
    host: db
    dbname: synapse
    user: synapse
    # Holds the password; PostgreSQL's client library wants it readable by its owner alone.
    passfile: /data/secrets/pgpass

media_store_path: /data/media_store

# Who this server is: lose it, and other servers no longer believe it. Back it up.
signing_key_path: /data/signing.key
# Secrets lie in files of their own, so that this one can be shown.
macaroon_secret_key_path: /data/secrets/macaroon_secret_key
form_secret_path: /data/secrets/form_secret
# For register_new_matrix_user, which makes the first users.
registration_shared_secret_path: /data/secrets/registration_shared_secret

# Whom to ask for the keys of servers that cannot be reached themselves.
trusted_key_servers:
  - server_name: "matrix.org"
suppress_key_server_warning: true
""")
