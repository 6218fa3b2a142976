#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Create what is missing of a new deployment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment
short_description: Create a complete, startable deployment of Synapse and PostgreSQL
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Creates what is missing of a new deployment in one directory - C(compose.yml), C(data/homeserver.yaml) and the
    secrets that they refer to, ready for C(docker compose up -d).
  - What exists is never touched, so a second run changes nothing. The secrets of a file are made only together with
    that file; they are never printed and never made anew.
  - The written files hold no tuning. M(synapse.tuning.plan_info) tells what to tune, and
    M(synapse.tuning.compose_file) and M(synapse.tuning.homeserver_file) put it into them as into any other files.
notes:
  - C(secrets/postgres_password) and all files in C(data/secrets/), and C(data/signing.key), have mode 0600.
  - Run as root, the module gives C(data/) to user and group 991, which the Synapse image runs as. Run as another
    user, it sets C(UID) and C(GID) in C(compose.yml), so that Synapse runs as this user. With rootless Docker set both
    to 0 by hand, which is the same user seen from inside.
  - Clients and other servers reach Synapse through a reverse proxy that ends TLS and passes on to 127.0.0.1:8008.
    Metrics are at C(http://127.0.0.1:9000/_synapse/metrics), for this host alone.
options:
  path:
    description:
      - The project directory; it is created where it does not exist.
      - A C(compose.yaml), C(compose.yml), C(docker-compose.yml) or C(docker-compose.yaml) in it counts as the compose
        file.
    type: path
    required: true
  plan:
    description:
      - The plan that M(synapse.tuning.plan_info) returns, made with O(synapse.tuning.plan_info#module:topology=shared).
      - Only the images, C(POSTGRES_INITDB_ARGS) and the versions are taken from it.
    type: dict
    required: true
  server_name:
    description:
      - The Matrix server name, the part behind the colon of every user and room.
      - It cannot be changed once the server was used. With the default, which is a placeholder, the module warns.
    type: str
    default: matrix.example.org
attributes:
  check_mode:
    support: full
    description: Says what it would create, and creates nothing.
  diff_mode:
    support: full
    description: Shows each new file; secrets as asterisks.
seealso:
  - module: synapse.tuning.plan_info
  - module: synapse.tuning.compose_file
  - module: synapse.tuning.homeserver_file
"""

EXAMPLES = r"""
- name: Plan for this host
  synapse.tuning.plan_info:
    users: 5
    ram: 2G
  register: planned

- name: Create a deployment where there is none
  synapse.tuning.deployment:
    path: /opt/synapse
    server_name: example.org
    plan: "{{ planned.plan }}"
  register: deployment

- name: Tune it
  synapse.tuning.homeserver_file:
    path: "{{ deployment.homeserver_path }}"
    plan: "{{ planned.plan }}"
"""

RETURN = r"""
created:
  description: The files that were made, or would be made in check mode, in the order of their making.
  type: list
  elements: str
  returned: success
  sample:
    - /opt/synapse/data/signing.key
    - /opt/synapse/data/secrets/pgpass
    - /opt/synapse/data/secrets/macaroon_secret_key
    - /opt/synapse/data/secrets/form_secret
    - /opt/synapse/data/secrets/registration_shared_secret
    - /opt/synapse/data/homeserver.yaml
    - /opt/synapse/secrets/postgres_password
    - /opt/synapse/compose.yml
compose_path:
  description: The deployment's compose file, old or new.
  type: str
  returned: success
  sample: /opt/synapse/compose.yml
homeserver_path:
  description: Synapse's configuration file, old or new.
  type: str
  returned: success
  sample: /opt/synapse/data/homeserver.yaml
diff:
  description: One entry for each new file; the text of a secret is replaced by asterisks.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils import _deployment
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "plan": {"type": "dict", "required": True},
            "server_name": {"type": "str", "default": _deployment.PLACEHOLDER_SERVER_NAME},
        },
        supports_check_mode=True,
    )
    try:
        lacking = _deployment.missing(
            module.params["path"], module.params["plan"], server_name=module.params["server_name"]
        )
        created = lacking.paths if module.check_mode else _deployment.write(lacking)
    except TuningError as exc:
        module.fail_json(msg=str(exc))
    for warning in lacking.warnings:
        module.warn(warning)
    module.exit_json(
        changed=bool(created),
        created=created,
        compose_path=lacking.compose_path,
        homeserver_path=lacking.homeserver_path,
        diff=lacking.diff(),
    )


if __name__ == "__main__":
    main()
