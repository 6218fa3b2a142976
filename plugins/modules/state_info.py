#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say how large Synapse's tables of state are, and how the state in them is stored."""

from __future__ import annotations

DOCUMENTATION = r"""
module: state_info
short_description: Say how large Synapse's tables of state are, and how the state in them is stored
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Reads the sizes of C(state_groups_state) and the tables around it, the rows per state group, which part of the state
    groups is stored as the difference from another one, state groups that nothing uses, and how far the compressor is.
  - Everything is read from one snapshot, in a transaction that cannot write.
  - A C(state_groups_state) with more rows than O(sample_above) is not counted. PostgreSQL's statistics say how many rows it
    has, or a sample where it was never analyzed, and a sample of 20,000 state groups says the rest. Every figure comes
    with how it is known.
  - The login role has to be able to read the tables.
extends_documentation_fragment:
  - synapse.tuning.postgresql
  - synapse.tuning.postgresql_container
options:
  sample_above:
    description:
      - The most rows of a table that are counted one by one.
    type: int
    default: 5000000
  rooms:
    description:
      - How many of the rooms with the most rows to name, V(0) for none.
    type: int
    default: 5
  unreferenced:
    description:
      - Look for state groups that no event uses, directly or through another state group that stands on them.
      - This follows every state group, and takes seconds for each million of them. It is left out where there are more
        rows than O(sample_above).
    type: bool
    default: false
  statement_timeout:
    description:
      - Seconds that one query may take.
    type: int
    default: 120
  status_file:
    description:
      - The status file on this host that the role P(synapse.tuning.compressor#role) has its job write, where it does.
    type: path
attributes:
  check_mode:
    support: full
    description: Changes nothing in either mode.
  diff_mode:
    support: none
    description: Changes nothing.
seealso:
  - module: synapse.tuning.postgresql_parameters
"""

EXAMPLES = r"""
- name: Look at the state of the Synapse in a Compose project
  synapse.tuning.state_info:
    project_dir: /opt/synapse
  become: true
  register: state

- name: Show it
  ansible.builtin.debug:
    msg: "{{ state.table.splitlines() }}"

- name: Look for state groups that nothing uses, too
  synapse.tuning.state_info:
    login_unix_socket: /var/run/postgresql
    login_db: synapse
    unreferenced: true
    statement_timeout: 600
  become: true
  become_user: postgres
"""

RETURN = r"""
tables:
  description:
    - The tables C(state_groups_state), C(state_groups), C(state_group_edges), C(event_to_state_groups), C(events) and
      C(event_json).
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The table.
      type: str
    table_bytes:
      description: Its size on the disk without its indexes.
      type: int
    index_bytes:
      description: The size of its indexes.
      type: int
    total_bytes:
      description: Both.
      type: int
    rows:
      description: Its rows.
      type: int
    rows_by:
      description: How they are known, V(counted), V(statistics) or such as V(sampled 2.5 %).
      type: str
  sample:
    - name: state_groups_state
      table_bytes: 38797312
      index_bytes: 22691840
      total_bytes: 61489152
      rows: 293105
      rows_by: counted
groups:
  description: The state groups.
  type: dict
  returned: success
  contains:
    state_groups:
      description: How many there are.
      type: int
    rows:
      description: Their rows in C(state_groups_state).
      type: int
    rows_per_state_group:
      description: The mean; null where there are none.
      type: float
    largest:
      description: The most rows of one, of the sample where there is one.
      type: int
    deltas:
      description: State groups that are stored as the difference from another one.
      type: int
    share_of_deltas:
      description: The part of the state groups that are, from 0 to 1; null where there are none.
      type: float
    full:
      description: State groups that are stored whole.
      type: int
    full_rows:
      description: The rows of those.
      type: int
    share_of_rows_in_full:
      description: The part of all rows that they hold, from 0 to 1. It is what the compressor works on.
      type: float
    by:
      description: How all of that is known, V(counted) or such as V(sampled 2.5 %).
      type: str
rooms:
  description: The rooms with the most rows, the first one with the most.
  type: list
  elements: dict
  returned: success
  contains:
    room_id:
      description: The room.
      type: str
    rows:
      description: Its rows in C(state_groups_state), estimated where the groups are sampled.
      type: int
    state_groups:
      description: Its state groups, likewise.
      type: int
dead_rows:
  description: Rows of C(state_groups_state) that were deleted and whose space waits for VACUUM, as PostgreSQL estimates it.
  type: int
  returned: success
last_vacuum:
  description: When it was vacuumed last, by autovacuum or by hand, in UTC; null for never, or not since the statistics were reset.
  type: str
  returned: success
  sample: "2026-11-24T00:48:05Z"
last_analyze:
  description: When it was analyzed last, likewise.
  type: str
  returned: success
unreferenced:
  description: State groups that nothing uses.
  type: dict
  returned: success
  contains:
    state_groups:
      description: How many there are; null where that is not known.
      type: int
    rows:
      description: Their rows in C(state_groups_state); null where that is not known.
      type: int
    because:
      description: Why it is not known, such as V(not asked); null where it is.
      type: str
compressor:
  description: What the compressor's own tables say; null where it has never run.
  type: dict
  returned: success
  contains:
    lowest_uncompressed_group:
      description: All state groups below this one are done. It rises at the end of a run that found nothing older.
      type: int
    newest_group:
      description: The newest state group there is.
      type: int
    share_done:
      description: About how far that is, by the numbers of the state groups, from 0 to 1; null where there are none.
      type: float
    rooms:
      description: Rooms that it has worked on.
      type: int
    newest_compressed_group:
      description: The newest state group that it has worked on in any room.
      type: int
last_run:
  description: What O(status_file) says of the compressor's last run; null without that file.
  type: dict
  returned: success
  contains:
    started:
      description: When it started, in seconds since 1970; null where that is not said, like the others.
      type: int
    ended:
      description: When a run ended last.
      type: int
    succeeded:
      description: When a run ended well last.
      type: int
    exit_status:
      description: The exit status of the one that ended last.
      type: int
    saved_rows:
      description: The rows that the last one saved which ended well.
      type: int
background_updates:
  description: Updates of tables of state that Synapse has not finished.
  type: list
  elements: str
  returned: success
table:
  description: All of it for people, in lines of at most 100 characters.
  type: str
  returned: success
"""

from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.synapse.tuning.plugins.module_utils import _postgresql, _state
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.state import State
from ansible_collections.synapse.tuning.plugins.module_utils._deps_postgresql import PSYCOPG
from ansible_collections.synapse.tuning.plugins.module_utils._login_options import (
    LOGIN_ARGUMENTS,
    PLACE_ARGUMENTS,
    given_login,
    given_place,
    login_of,
)


def look(module: AnsibleModule) -> State:
    """Log in and read."""
    params = module.params
    last_run = _state.read_last_run(params["status_file"]) if params["status_file"] else None
    login = login_of(given_login(params), given_place(params))
    request = _state.Request(
        sample_above=params["sample_above"],
        rooms=params["rooms"],
        unreferenced=params["unreferenced"],
        timeout=params["statement_timeout"],
    )
    with _postgresql.connect(login) as server:
        return replace(_state.read(server, request), last_run=last_run)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "sample_above": {"type": "int", "default": 5_000_000},
            "rooms": {"type": "int", "default": 5},
            "unreferenced": {"type": "bool", "default": False},
            "statement_timeout": {"type": "int", "default": 120},
            "status_file": {"type": "path"},
            **PLACE_ARGUMENTS,
            **LOGIN_ARGUMENTS,
        },
        mutually_exclusive=[["login_host", "login_unix_socket"]],
        supports_check_mode=True,
    )
    for name, least in (("sample_above", 0), ("rooms", 0), ("statement_timeout", 1)):
        if module.params[name] < least:
            module.fail_json(msg=f"{name} is {module.params[name]}, but must be at least {least}")
    if PSYCOPG.missing:
        module.fail_json(msg=missing_required_lib(PSYCOPG.name, reason=PSYCOPG.reason), exception=PSYCOPG.error)
    try:
        state = look(module)
    except TuningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **state.as_data())


if __name__ == "__main__":
    main()
