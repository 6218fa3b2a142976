# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options by which modules log in to PostgreSQL."""

from __future__ import annotations


class ModuleDocFragment:
    """C(synapse.tuning.postgresql)."""

    DOCUMENTATION = r"""
requirements:
  - psycopg 3 (on Debian and Ubuntu the package C(python3-psycopg))
notes:
  - What is not given is taken from the environment variables of libpq, such as E(PGHOST), E(PGPORT), E(PGPASSWORD) and
    E(PGPASSFILE), and then from C(~/.pgpass).
options:
  login_host:
    description:
      - Name or address of the server.
      - Without it and O(login_unix_socket), and E(PGHOST) not set, the local Unix socket is used.
    type: str
  login_unix_socket:
    description: Directory of the server's Unix socket.
    type: path
  login_port:
    description: The server's port; V(5432) unless E(PGPORT) says otherwise.
    type: int
  login_user:
    description: The role to log in as; V(postgres) where nothing else says so.
    type: str
  login_password:
    description: The password of O(login_user).
    type: str
  login_db:
    description: The database to log in to; V(postgres) where nothing else says so.
    type: str
  passfile:
    description: A file of passwords in the form of C(~/.pgpass), on the target, that only its owner can read.
    type: path
  sslmode:
    description: Whether the connection is encrypted, and how much of the server's certificate is checked.
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
  ca_cert:
    description: File of the authorities that may have signed the server's certificate.
    type: path
  connect_timeout:
    description: Seconds to wait for the connection.
    type: int
    default: 10
"""
