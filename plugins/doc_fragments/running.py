# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options by which modules find a running Synapse and its PostgreSQL."""

from __future__ import annotations


class ModuleDocFragment:
    """C(synapse.tuning.running)."""

    DOCUMENTATION = r"""
options:
  project_dir:
    description:
      - The directory of the Compose project. Its containers are found by their labels.
    type: path
  synapse_service:
    description:
      - The service that runs Synapse's main process, where its image does not tell.
    type: str
  db_service:
    description:
      - The service that runs Synapse's PostgreSQL, where its image and what Synapse depends on do not tell.
    type: str
  synapse_container:
    description:
      - Synapse's container by its name, for those that Compose has not made. Wins over O(project_dir).
    type: str
  db_container:
    description:
      - PostgreSQL's container by its name, for those that Compose has not made. Wins over O(project_dir).
    type: str
  docker_host:
    description:
      - The Docker Engine's address, such as V(unix:///var/run/docker.sock).
      - The default is what E(DOCKER_HOST) says, and else the local engine.
    type: str
  metrics_url:
    description:
      - Where Synapse's metrics are, as the host reaches them, such as V(http://127.0.0.1:9000/_synapse/metrics).
      - Without it they are asked for inside Synapse's container, where its configuration says they are.
      - Synapse has them with C(enable_metrics) and a listener of type C(metrics).
    type: str
  login_host:
    description:
      - The host, or the directory of the socket, of PostgreSQL.
      - Without O(login_host), O(login_user) and O(login_port) PostgreSQL is asked by C(psql) in its container, as
        E(POSTGRES_USER) over its socket, which needs no password with the official image.
    type: str
  login_port:
    description:
      - The port of PostgreSQL.
    type: int
  login_user:
    description:
      - The role to log in as.
    type: str
  login_password:
    description:
      - Its password.
    type: str
  login_db:
    description:
      - The database to log in to. The default is V(postgres), and in the container the one that it was made with.
    type: str
  timeout:
    description:
      - Seconds to wait for each answer.
    type: int
    default: 30
"""
