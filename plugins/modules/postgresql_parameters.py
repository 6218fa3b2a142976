#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a plan's parameters to a running PostgreSQL."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_parameters
short_description: Bring a plan's parameters to a running PostgreSQL
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Sets parameters by C(ALTER SYSTEM), that is in C(postgresql.auto.conf), as planned by M(synapse.tuning.plan_info), and
    reloads PostgreSQL once. Sets autovacuum's options of single tables by C(ALTER TABLE).
  - Only what differs is written. Values are compared as PostgreSQL reads them, V(256MB) of C(shared_buffers) is V(32768).
  - Every value is judged before anything is written, in check mode, too. Where PostgreSQL refuses something after all,
    what was written before is put back.
  - Nothing is restarted. RV(pending_restart) names the parameters that wait for a restart.
  - A parameter on PostgreSQL's command line is left alone, since that wins over C(ALTER SYSTEM). A warning says so where
    it has another value than planned. M(synapse.tuning.compose_file) changes it where the command is.
  - A parameter that C(ALTER ROLE) or C(ALTER DATABASE) sets otherwise is written, with a warning.
  - The login role has to be a superuser for parameters. For tables alone it has to be their owner.
extends_documentation_fragment:
  - synapse.tuning.postgresql
  - synapse.tuning.postgresql_container
options:
  plan:
    description:
      - The plan that M(synapse.tuning.plan_info) returns; its C(postgresql) and its C(tables) are used.
    type: dict
  sections:
    description:
      - Which sections of the plan to use, V(postgresql) (parameters) and V(tables).
      - V([tables]) is for a server that has its parameters on its command line.
    type: list
    elements: str
    choices: [postgresql, tables]
    default: [postgresql, tables]
  parameters:
    description:
      - Parameters by name, beside those of O(plan) and instead of them where they are in both.
      - V(null) removes a parameter from C(postgresql.auto.conf).
    type: dict
  tables:
    description:
      - Tables, with a schema where they are not in the search path, and autovacuum's options of each. They come beside
        those of O(plan) and instead of them where they are in both.
      - V(null) removes an option.
      - The database to log in to has to be the one that the tables are in.
    type: dict
  missing_tables:
    description:
      - What to do where a table is not there, as before Synapse's first start.
      - V(warn) leaves it out, with a warning, and names it in RV(missing_tables).
    type: str
    choices: [fail, warn]
    default: fail
attributes:
  check_mode:
    support: full
    description: Goes all the way but for the writing, so its answer is that of a real run.
  diff_mode:
    support: full
    description: The parameters in C(postgresql.auto.conf) and the tables' options; the same in check mode and in a real run.
seealso:
  - module: synapse.tuning.plan_info
  - module: synapse.tuning.compose_file
"""

EXAMPLES = r"""
- name: Plan for this host
  synapse.tuning.plan_info:
    users: 40
  register: planned

- name: Bring the plan to the running PostgreSQL
  synapse.tuning.postgresql_parameters:
    plan: "{{ planned.plan }}"
    login_unix_socket: /var/run/postgresql
    login_db: synapse
  become: true
  become_user: postgres
  register: tuned

- name: Say what waits for a restart
  ansible.builtin.debug:
    msg: "{{ tuned.pending_restart | join(', ') }}"
  when: tuned.restart_required

- name: Set the plan's tables where the compose file has the parameters
  synapse.tuning.postgresql_parameters:
    plan: "{{ planned.plan }}"
    sections: [tables]
    project_dir: /opt/synapse
    missing_tables: warn
  become: true

- name: Clean Synapse's largest table more often
  synapse.tuning.postgresql_parameters:
    login_host: 127.0.0.1
    login_password: "{{ vault_postgres_password }}"
    login_db: synapse
    tables:
      state_groups_state:
        autovacuum_vacuum_scale_factor: 0.02
        autovacuum_analyze_scale_factor: 0.05

- name: Set one parameter, and leave another to postgresql.conf
  synapse.tuning.postgresql_parameters:
    parameters:
      work_mem: 8MB
      jit: null
    login_host: db.example.org
    passfile: /root/.pgpass
    sslmode: verify-full
"""

RETURN = r"""
parameters:
  description: Every wanted parameter, as it was before and as it is planned.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The parameter.
      type: str
    current:
      description: The value in effect on the server before.
      type: str
    pending:
      description: Another value that waited in the files for a reload or a restart; null where there was none.
      type: str
    planned:
      description: The planned value; null for none in C(postgresql.auto.conf).
      type: str
    context:
      description: PostgreSQL's word for when the parameter can change, such as V(postmaster), V(sighup) or V(user).
      type: str
    differs:
      description: Whether the value in effect is another than the planned one.
      type: bool
    action:
      description: What makes the planned value effective, V(reload) (this module's), V(restart) or V(none).
      type: str
    overridden_by:
      description: What wins over the planned value, V(command line), or V(role synapse), V(database synapse) and the like.
      type: list
      elements: str
  sample:
    - name: shared_buffers
      current: 128MB
      pending: null
      planned: 256MB
      context: postmaster
      differs: true
      action: restart
      overridden_by: []
tables:
  description: Every wanted option of a table, as it was before and as it is planned.
  type: list
  elements: dict
  returned: success
  contains:
    table:
      description: The table.
      type: str
    option:
      description: The option.
      type: str
    current:
      description: The value before; null where it was not set.
      type: str
    planned:
      description: The planned value; null where it must not be set.
      type: str
    differs:
      description: Whether the two mean different things.
      type: bool
missing_tables:
  description: The wanted tables that are not there; empty but for O(missing_tables=warn).
  type: list
  elements: str
  returned: success
reload:
  description: Whether PostgreSQL was reloaded, or would be.
  type: bool
  returned: success
restart_required:
  description: Whether a planned value waits for a restart of PostgreSQL, from this run or an earlier one.
  type: bool
  returned: success
pending_restart:
  description: The parameters that wait for it.
  type: list
  elements: str
  returned: success
  sample: [max_connections, shared_buffers]
overridden:
  description: The parameters whose planned value is without effect because of the command line.
  type: list
  elements: str
  returned: success
  sample: [shared_buffers]
undo:
  description: What takes the change back, as the options O(parameters) and O(tables) of another task.
  type: dict
  returned: success
  sample:
    parameters: {work_mem: null}
    tables: {state_groups_state: {autovacuum_vacuum_scale_factor: null}}
diff:
  description: The wanted parameters in C(postgresql.auto.conf), and then the wanted options of tables where there are any.
  type: list
  elements: dict
  returned: success
  contains:
    before:
      description: The lines before.
      type: str
    after:
      description: The lines after.
      type: str
    before_header:
      description: The file on the server, or the database.
      type: str
    after_header:
      description: The same.
      type: str
warnings:
  description: What to know besides, one line each.
  type: list
  elements: str
  returned: when there are any
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.synapse.tuning.plugins.module_utils import _postgresql, _postgresql_parameters
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._deps_postgresql import PSYCOPG
from ansible_collections.synapse.tuning.plugins.module_utils._login_options import (
    LOGIN_ARGUMENTS,
    PLACE_ARGUMENTS,
    given_login,
    given_place,
    login_of,
)


def tune(module: AnsibleModule) -> _postgresql_parameters.Change:
    """Work out the change, and make it outside check mode."""
    params = module.params
    login = login_of(given_login(params), given_place(params))
    request = _postgresql_parameters.Request(
        **{name: params[name] for name in ("plan", "parameters", "tables", "sections", "missing_tables")}
    )
    with _postgresql.connect(login) as server:
        if not module.check_mode:
            # Before the reading: what another run changes must be seen.
            server.lock()
        change = _postgresql_parameters.prepare(server, request)
        if change.changed and not module.check_mode:
            _postgresql_parameters.apply(server, change)
    return change


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict"},
            "parameters": {"type": "dict"},
            "tables": {"type": "dict"},
            "sections": {
                "type": "list",
                "elements": "str",
                "choices": ["postgresql", "tables"],
                "default": ["postgresql", "tables"],
            },
            "missing_tables": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
            **PLACE_ARGUMENTS,
            **LOGIN_ARGUMENTS,
        },
        required_one_of=[["plan", "parameters", "tables"]],
        mutually_exclusive=[["login_host", "login_unix_socket"]],
        supports_check_mode=True,
    )
    if PSYCOPG.missing:
        module.fail_json(msg=missing_required_lib(PSYCOPG.name, reason=PSYCOPG.reason), exception=PSYCOPG.error)
    try:
        change = tune(module)
    except TuningError as error:
        module.fail_json(msg=str(error))
    for warning in change.warnings:
        module.warn(warning)
    pending_restart = list(change.parameters.pending_restart)
    module.exit_json(
        changed=change.changed,
        parameters=[each.as_data() for each in change.parameters.changes],
        tables=[each.as_data() for each in change.options],
        missing_tables=list(change.missing_tables),
        reload=change.parameters.reload,
        restart_required=bool(pending_restart),
        pending_restart=pending_restart,
        overridden=list(change.parameters.overridden),
        undo=change.undo(),
        diff=change.diff(),
    )


if __name__ == "__main__":
    main()
