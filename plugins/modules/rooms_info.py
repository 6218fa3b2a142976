#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rank a server's rooms by what they cost."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rooms_info
short_description: Rank a server's rooms by what they cost
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Lists the rooms that cost Synapse most, by the rows and bytes of their state and events, and estimates what purging
    them returns. M(synapse.tuning.room) purges one.
  - Asks Synapse's PostgreSQL, where filters and ranking are done, or the admin API alone, which knows the current state
    events and members of rooms, and no rows.
  - In PostgreSQL it reads in a transaction that cannot write. A table with more rows than O(sample_above) is sampled, and
    the answer says so. It does not matter whether the database was ever analyzed.
  - Changes nothing.
extends_documentation_fragment:
  - synapse.tuning.postgresql
  - synapse.tuning.admin_api
options:
  source:
    description:
      - Where to ask.
      - V(auto) asks the database where a login or O(db_container) is given, or where O(project_dir) has one; else the
        admin API, where there is an access token.
    type: str
    choices: [auto, database, admin_api]
    default: auto
  db_container:
    description:
      - PostgreSQL's container on this host by its name. It is reached at its own address and needs no published port.
      - User, password and database are those that the container was made with. They are neither returned nor logged. The
        login options win over them, each by itself.
    type: str
  db_service:
    description:
      - The service in O(project_dir) that runs PostgreSQL. Without it the one is taken whose image is PostgreSQL's.
    type: str
  limit:
    description:
      - How many rooms to return.
    type: int
    default: 20
  order_by:
    description:
      - What to rank by, the most first.
      - V(state_rows) and V(state_bytes) of C(state_groups_state), V(events), V(disk) (bytes of state and events together),
        V(state_events) (current state events), or V(members) (joined users of all servers).
      - The default is V(state_rows), and over the admin API V(state_events). The admin API knows V(state_events) and
        V(members) only.
    type: str
    choices: [state_rows, state_bytes, events, state_events, members, disk]
  pattern:
    description:
      - A glob that the room's ID, its canonical alias or its name has to match as a whole. V(*) stands for any text and
        V(?) for one character. Upper and lower case of ASCII letters are alike.
    type: str
  no_local_members:
    description:
      - Only rooms that no user of this server is joined to.
    type: bool
    default: false
  inactive_days:
    description:
      - Only rooms whose newest event came more than this many days ago. A room without any event counts as inactive.
      - Over the admin API this takes a request a room, the heaviest first, until there are O(limit) of them.
    type: int
  min_state_events:
    description:
      - Only rooms with at least as many current state events.
    type: int
  tombstoned:
    description:
      - Only rooms that were upgraded to another one. As for requests, it is like O(inactive_days).
    type: bool
    default: false
  rooms:
    description:
      - Only these rooms, by ID or by an alias in this server's directory.
    type: list
    elements: str
  active_days:
    description:
      - A local member counts as active who was seen in this many days.
    type: int
    default: 30
  sample_above:
    description:
      - Rows of C(state_groups_state) or C(events), as PostgreSQL estimates them, above which only so many are read, from
        pages of the table by chance, and scaled up. The same pages are read each time, so that two runs agree.
      - At least 300 pages are read.
    type: int
    default: 5000000
  statement_timeout:
    description:
      - Seconds that a query may take.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return what it would return without.
  diff_mode:
    support: N/A
    description: Will return details on what has changed.
requirements:
  - docker (Python), for O(db_container) and O(project_dir)
notes:
  - Only O(source=database) takes psycopg 3.
  - The bytes of a room are its share of the tables with their indexes. For state it is by the size of the rows, for events
    by their number, in C(events) and C(event_json) together.
  - A purge makes rows free for PostgreSQL to use again. The disk gets them back by C(VACUUM FULL) or pg_repack.
  - A purge alone gave no memory back to the system until Synapse was restarted, as measured. After a restart it was about
    15 kB a member of a room joined over federation.
  - When the last local user leaves a room, Synapse forgets its current state, and with it its members.
seealso:
  - module: synapse.tuning.room
"""

EXAMPLES = r"""
- name: Rank the rooms of the Compose project
  synapse.tuning.rooms_info:
    project_dir: /opt/synapse
  register: heavy
  become: true

- name: Show them
  ansible.builtin.debug:
    msg: "{{ heavy.table.splitlines() }}"

- name: Find rooms that nobody here is in any more
  synapse.tuning.rooms_info:
    login_host: 127.0.0.1
    login_user: synapse
    login_password: "{{ vault_postgres_password }}"
    login_db: synapse
    no_local_members: true
    inactive_days: 90
    order_by: disk
    limit: 100

- name: Rank by the admin API alone
  synapse.tuning.rooms_info:
    source: admin_api
    url: http://127.0.0.1:8008
    access_token: "{{ vault_admin_token }}"
    pattern: "*:matrix.org"
    min_state_events: 5000
"""

RETURN = r"""
rooms:
  description: The rooms, the heaviest first. A figure that the source does not know is null, and in RV(missing).
  type: list
  elements: dict
  returned: success
  contains:
    room_id:
      description: The ID.
      type: str
    name:
      description: The name; null for none.
      type: str
    canonical_alias:
      description: The canonical alias; null for none.
      type: str
    version:
      description: The room version.
      type: str
    members:
      description: Joined users of all servers.
      type: int
    local_members:
      description: Joined users of this server.
      type: int
    active_local_members:
      description: Those of them that were seen in O(active_days).
      type: int
    state_events:
      description: Current state events.
      type: int
    state_rows:
      description: Rows of C(state_groups_state).
      type: int
    state_bytes:
      description: Its share of that table and its indexes, in bytes.
      type: int
    events:
      description: Rows of C(events).
      type: int
    event_bytes:
      description: Its share of C(events) and C(event_json) and their indexes, in bytes.
      type: int
    disk_bytes:
      description: Both shares together, in bytes.
      type: int
    last_activity:
      description: When this server got the newest event, in milliseconds since 1970.
      type: int
    forward_extremities:
      description: Events that nothing follows yet. More than a few make Synapse slow; never delete them by a job.
      type: int
    tombstoned:
      description: Whether it was upgraded to another room.
      type: bool
    encrypted:
      description: Whether it is encrypted.
      type: bool
    public:
      description: Whether it is in the server's public list.
      type: bool
    known:
      description: V(false) for rows that are left of a room that Synapse does not list any more.
      type: bool
    estimate:
      description: What purging it returns, the figures of RV(estimate).
      type: dict
total:
  description: How many rooms there are, with those that only rows are left of where the query sees these.
  type: int
  returned: success
matched:
  description: How many the filters match; null where counting them would have taken a request a room.
  type: int
  returned: success
source:
  description: What was asked, V(database) or V(admin_api).
  type: str
  returned: success
order_by:
  description: What they are ranked by.
  type: str
  returned: success
sampled:
  description: Whether only a part of a table was read.
  type: bool
  returned: success
percent:
  description: The smallest part of a table that was read, in percent; null over the admin API.
  type: float
  returned: success
estimate:
  description: What purging all the returned rooms gives back.
  type: dict
  returned: success
  contains:
    rows:
      description: Rows of C(state_groups_state), C(events) and C(event_json) together.
      type: int
    state_rows:
      description: Of C(state_groups_state).
      type: int
    state_method:
      description: How they are known, V(counted) or such as V(sampled 12.5 %).
      type: str
    events:
      description: Of C(events), and as many of C(event_json).
      type: int
    events_method:
      description: How they are known.
      type: str
    disk_bytes:
      description: What PostgreSQL can use again, in bytes.
      type: int
    disk_method:
      description: How that is known.
      type: str
    disk_note:
      description: How the disk gets it back.
      type: str
    memory_bytes:
      description: What the system gets back at once, which is nothing.
      type: int
    memory_bytes_after_restart:
      description: What Synapse does without once it was restarted, in bytes.
      type: int
    memory_method:
      description: How that is known.
      type: str
    memory_note:
      description: What was measured.
      type: str
missing:
  description: The figures that the source does not know.
  type: list
  elements: str
  returned: success
absent:
  description: Those of O(rooms) that are not there.
  type: list
  elements: str
  returned: success
table:
  description: All that as a text for people, at most 140 characters wide.
  type: str
  returned: success
warnings:
  description: What to know besides, one line each.
  type: list
  elements: str
  returned: when there are any
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils import _rooms
from ansible_collections.synapse.tuning.plugins.module_utils._admin_api import ADMIN_ARGUMENTS
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import ORDERS
from ansible_collections.synapse.tuning.plugins.module_utils._login_options import LOGIN_ARGUMENTS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ADMIN_ARGUMENTS,
            "source": {"type": "str", "choices": ["auto", "database", "admin_api"], "default": "auto"},
            "db_container": {"type": "str"},
            "db_service": {"type": "str"},
            **LOGIN_ARGUMENTS,
            "limit": {"type": "int", "default": 20},
            "order_by": {"type": "str", "choices": list(ORDERS)},
            "pattern": {"type": "str"},
            "no_local_members": {"type": "bool", "default": False},
            "inactive_days": {"type": "int"},
            "min_state_events": {"type": "int"},
            "tombstoned": {"type": "bool", "default": False},
            "rooms": {"type": "list", "elements": "str"},
            "active_days": {"type": "int", "default": 30},
            "sample_above": {"type": "int", "default": 5_000_000},
            "statement_timeout": {"type": "int", "default": 120},
        },
        mutually_exclusive=[["login_host", "login_unix_socket"]],
        supports_check_mode=True,
    )
    try:
        found = _rooms.rank(module.params, now=int(time.time() * 1000))
    except TuningError as error:
        module.fail_json(msg=str(error))
    for warning in found.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **found.as_data())


if __name__ == "__main__":
    main()
