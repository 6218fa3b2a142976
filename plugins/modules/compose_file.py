#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put a plan into a Compose project."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_file
short_description: Put a plan into the compose file of Synapse and PostgreSQL
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Sets memory limits and reservations, C(shm_size), Synapse's environment and PostgreSQL's parameters (as options in
    C(command)) in an existing Compose project, as planned by M(synapse.tuning.plan_info).
  - Only what differs from the plan is edited, in the form that the file uses. Comments, order, quotes, anchors, blank
    lines, line endings, owner and mode stay as they are, and so does every other line.
  - Values are compared by what they mean. V(1G) is V(1024m), V(256MB) of C(shared_buffers) is V(32768), V(on) is
    V(true).
  - Nothing is restarted. RV(restarts) says which services C(docker compose up -d) will recreate.
notes:
  - Needs ruamel.yaml on the host.
  - Synapse's service is the one with an image C(matrixdotorg/synapse) or C(ghcr.io/element-hq/synapse), from any
    registry, that does not run a worker. PostgreSQL's is the one with an image C(postgres) or
    C(pgautoupgrade/pgautoupgrade); of several, the one that Synapse's service depends on.
  - Services that run workers are left as they are, with a warning.
  - Variables (C(${NAME:-default})) are filled in from C(.env) for the comparison; the environment of the shell that
    runs C(docker compose) is not known.
  - The files that Compose reads after the edited one (an override file, those in C(COMPOSE_FILE)) are looked into, and
    a warning names what they would win with.
extends_documentation_fragment:
  - synapse.tuning.file_change
  - synapse.tuning.backups
options:
  project_dir:
    description:
      - The project's directory. The file is the first of C(compose.yaml), C(compose.yml), C(docker-compose.yml) and
        C(docker-compose.yaml), as Compose chooses it, or the first one in C(COMPOSE_FILE) in C(.env).
      - This or O(path) must be given.
    type: path
  path:
    description:
      - The compose file, where it has another name.
    type: path
  mode:
    description:
      - V(in_place) edits the project's compose file.
      - V(override) leaves that file alone and writes C(compose.override.yml) beside it (or an override file that is
        there already, by another of Compose's names). It gets the levers that differ, and nothing else.
    type: str
    choices: [in_place, override]
    default: in_place
  homeserver_dropin:
    description:
      - Make Synapse's C(command) load C(homeserver.tuning.yaml) after its C(homeserver.yaml), which is what
        M(synapse.tuning.homeserver_file) with O(synapse.tuning.homeserver_file#module:mode=override) writes.
        Synapse does not start while that file is missing.
      - The default is V(true) with O(mode=override) and V(false) with O(mode=in_place).
    type: bool
  synapse_service:
    description:
      - The service that runs Synapse's main process, where its image does not tell.
    type: str
  db_service:
    description:
      - The service that runs Synapse's PostgreSQL, where its image and what Synapse depends on do not tell.
    type: str
seealso:
  - module: synapse.tuning.plan_info
  - module: synapse.tuning.homeserver_file
"""

EXAMPLES = r"""
- name: Plan for this host
  synapse.tuning.plan_info:
    users: 40
  register: planned

- name: Fit the project's compose file to it
  synapse.tuning.compose_file:
    plan: "{{ planned.plan }}"
    project_dir: /opt/synapse
  register: tuned

- name: Say what to do next
  ansible.builtin.debug:
    msg: "docker compose up -d will recreate {{ tuned.restarts | map(attribute='service') | join(', ') }}"
  when: tuned.restarts | length > 0

- name: Leave the file alone, and write compose.override.yml
  synapse.tuning.compose_file:
    plan: "{{ planned.plan }}"
    project_dir: /opt/synapse
    mode: override

- name: Name the services, which have images of their own
  synapse.tuning.compose_file:
    plan: "{{ planned.plan }}"
    path: /opt/matrix/stack.yml
    synapse_service: homeserver
    db_service: database
"""

RETURN = r"""
path:
  description: The file that was changed, or would be.
  type: str
  returned: success
  sample: /opt/synapse/compose.yml
backup_file:
  description:
    - The copy of the file as it was before the run.
    - Null where nothing was written, none was wanted, or there was no file.
  type: str
  returned: success
  sample: /opt/synapse/compose.yml.20260102T030405.678901Z.bak
run:
  description: The stamp of the run, for O(run) of the tasks that follow.
  type: str
  returned: success
  sample: 20260102T030405.678901Z
synapse_service:
  description: The service that was taken for Synapse; null where the plan holds nothing for it.
  type: str
  returned: success
  sample: synapse
db_service:
  description: The service that was taken for PostgreSQL; null where the plan holds nothing for it.
  type: str
  returned: success
  sample: db
images:
  description: The images of the services that were found, by C(synapse) and C(postgresql); empty where they are built.
  type: dict
  returned: success
  sample:
    synapse: matrixdotorg/synapse:v1.163.2
    postgresql: postgres:17-alpine
levers:
  description: Every lever of the plan, as it was before and as it is planned.
  type: list
  elements: dict
  returned: success
  contains:
    file:
      description: Always V(compose).
      type: str
    service:
      description: The service.
      type: str
    lever:
      description:
        - V(memory_limit), V(memory_reservation), V(shm_size), C(environment.NAME), C(postgresql.PARAMETER) or
          V(homeserver_dropin).
      type: str
    current:
      description: The value before, variables filled in; null where it was not set.
      type: raw
    planned:
      description: The planned value; null where it must not be set.
      type: raw
    differs:
      description: Whether the two mean different things.
      type: bool
    action:
      description: What makes the planned value effective, V(recreate) or V(none).
      type: str
  sample:
    - file: compose
      service: db
      lever: shm_size
      current: 64m
      planned: 256m
      differs: true
      action: recreate
restarts:
  description:
    - The services that have to be recreated, and the levers because of which. Includes those that share settings with a
      tuned service by an anchor or C(extends).
  type: list
  elements: dict
  returned: success
  contains:
    service:
      description: The service.
      type: str
    action:
      description: Always V(recreate).
      type: str
    because:
      description: The levers that differ.
      type: list
      elements: str
  sample:
    - service: db
      action: recreate
      because: [shm_size]
warnings:
  description: What to know besides, one line each.
  type: list
  elements: str
  returned: when there are any
diff:
  description: The file before and after, secrets masked.
  type: dict
  returned: success
  contains:
    before:
      description: The text before; empty where the file did not exist.
      type: str
    after:
      description: The text after.
      type: str
    before_header:
      description: The file.
      type: str
    after_header:
      description: The file.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _compose_file
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._deps import RUAMEL_YAML


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True},
            "project_dir": {"type": "path"},
            "path": {"type": "path"},
            "mode": {"type": "str", "choices": ["in_place", "override"], "default": "in_place"},
            "homeserver_dropin": {"type": "bool"},
            "synapse_service": {"type": "str"},
            "db_service": {"type": "str"},
            **_backups.OPTIONS,
        },
        required_one_of=[("project_dir", "path")],
        mutually_exclusive=[("project_dir", "path")],
        supports_check_mode=True,
    )
    if RUAMEL_YAML.missing:
        module.fail_json(
            msg=missing_required_lib(RUAMEL_YAML.name, reason=RUAMEL_YAML.reason), exception=RUAMEL_YAML.error
        )
    override = module.params["mode"] == "override"
    dropin = module.params["homeserver_dropin"]
    try:
        keep = _backups.Keep.from_options(module.params)
        change = _compose_file.prepare(
            _compose_file.Request(
                plan=module.params["plan"],
                project_dir=module.params["project_dir"],
                path=module.params["path"],
                override=override,
                dropin=override if dropin is None else dropin,
                synapse_service=module.params["synapse_service"],
                db_service=module.params["db_service"],
            )
        )
        written = _backups.Written(None, ())
        if change.changed and not module.check_mode:
            written = _compose_file.write(change, keep=keep)
    except TuningError as error:
        module.fail_json(msg=str(error))
    for warning in (*change.warnings, *written.warnings):
        module.warn(warning)
    module.exit_json(
        changed=change.changed,
        path=change.path,
        backup_file=written.backup_file,
        run=keep.run,
        synapse_service=change.synapse_service,
        db_service=change.db_service,
        images=change.images,
        levers=list(change.levers),
        restarts=list(change.restarts),
        diff=change.diff(),
    )


if __name__ == "__main__":
    main()
