# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options by which modules find PostgreSQL in a container."""

from __future__ import annotations


class ModuleDocFragment:
    """C(synapse.tuning.postgresql_container)."""

    DOCUMENTATION = r"""
requirements:
  - docker (Python), for O(container) and O(project_dir)
options:
  container:
    description:
      - PostgreSQL's container on this host by its name. It is reached at its own address and needs no published port.
      - User, password and database are those that the container was made with, E(POSTGRES_USER), E(POSTGRES_PASSWORD) and
        E(POSTGRES_DB) or the files that E(POSTGRES_PASSWORD_FILE) and its like name inside. They are neither returned nor
        logged. O(login_host), O(login_port), O(login_user), O(login_password) and O(login_db) win over them, each by
        itself.
    type: str
  project_dir:
    description:
      - The directory of a Compose project on this host; PostgreSQL is reached in the container of its service, like
        O(container), which wins over this.
    type: path
  db_service:
    description:
      - The service in O(project_dir) that runs PostgreSQL. Without it the one is taken whose image is PostgreSQL's.
    type: str
  docker_host:
    description:
      - The address of the Docker Engine that has the container. The default is what E(DOCKER_HOST) says, and else the
        local engine.
    type: str
"""
