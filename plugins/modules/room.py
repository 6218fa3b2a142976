#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Leave, forget, purge or trim one room of a Synapse."""

from __future__ import annotations

DOCUMENTATION = r"""
module: room
short_description: Leave, forget, purge or trim one room of a Synapse
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Takes one room off a Matrix Synapse, or the old part of its history, through the admin API.
  - Synapse does it in the background. This module starts the task, follows it and shows how far it is. A task that is
    already under way for the room is followed, and no second one is started.
  - A Synapse that is restarted meanwhile takes the task up again, and is waited for. That takes it up to a minute, and two
    more where it was killed, as its locks have to expire.
  - A Synapse that has just started refers to rooms in which something has happened last, and a purge fails then. The
    module begins such a purge again, for about a minute.
  - B(What is purged is gone), and comes back only where another server of the room still has it.
options:
  room:
    description:
      - The room's ID, such as V(!abc:example.org), or an alias, such as V(#room:example.org).
      - An alias that leads to no room is an error, whatever O(state), as it may be misspelt. A room's aliases go with it,
        so give the ID where the task is to be run again.
    type: str
    required: true
  state:
    description:
      - V(absent), all users of this server leave the room and forget it, and it is removed from the database. A room
        that Synapse does not know is fine.
      - V(forgotten), they leave and forget it, and what is stored of it stays. Fine where nobody of this server is
        joined, invited or knocking.
      - V(trimmed), events older than O(older_than) are removed, and everybody stays. Not named after the endpoint,
        C(purge_history), as V(purged) would read as if the room were.
    type: str
    choices: [absent, forgotten, trimmed]
    default: absent
  block:
    description:
      - Keep users of this server from joining the room from now on, for O(state=absent) and O(state=forgotten).
      - V(false) leaves it as it is; it does not lift a block.
    type: bool
    default: false
  force_purge:
    description:
      - Remove the room even where users of this server are still joined, for O(state=absent).
      - For rooms that somebody cannot be made to leave; it may leave those with a room that does not work.
    type: bool
    default: false
  new_room_user_id:
    description:
      - A user of this server who makes a new room, in which those who were made to leave find themselves. Local aliases
        lead there afterwards, therefore O(room) has to be an ID.
    type: str
  new_room_name:
    description:
      - The name of the new room. Synapse's default is C(Content Violation Notification).
    type: str
  new_room_message:
    description:
      - What users are told in the new room. Synapse's default says that sharing illegal content is not permitted.
      - Without O(new_room_user_id) there is no place to say anything.
    type: str
  older_than:
    description:
      - The age of what is removed, with s, m, h, d, w or y, such as V(90d), for O(state=trimmed).
      - It counts from when this server received an event. The newest event that is old enough stays.
    type: str
  delete_local_events:
    description:
      - Also remove what users of this server have sent, for O(state=trimmed). Nobody else may have that.
      - With V(false) it is kept in the database, but clients do not see it any more; state groups, which take most of the
        room, are freed all the same.
      - Before Synapse 1.156 such events were removed with V(false), too (issue 19850), so that is refused there.
    type: bool
    default: false
  wait:
    description:
      - Wait for the end. Without it the module returns as soon as the task is started; run it again to see the end.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for the end. Then it is an error, though Synapse goes on; a new run follows it further.
      - Synapse runs 5 such tasks at a time, so one may also wait for its turn.
    type: int
    default: 3600
  slice:
    description:
      - Work for about so many seconds, and return with RV(finished=false) if there is more to do.
      - The module's own action uses it to show progress; there is no need to set it.
    type: int
    default: 0
  follow:
    description:
      - What the last slice returned as RV(follow).
    type: dict
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return what it would change.
  diff_mode:
    support: full
    description: Returns what is known of the room before and after.
extends_documentation_fragment:
  - synapse.tuning.admin_api
notes:
  - A purge gives memory back to the system only once Synapse is restarted, and disk only after C(VACUUM FULL).
  - Whether there is anything to trim is seen by the two oldest events that Synapse shows. What it hides, state and, after
    an earlier run with O(delete_local_events=false), local events, it does not tell of. A run with
    O(delete_local_events=true) after that is V(ok) and leaves them, until newer events become old enough.
  - With O(state=forgotten), users who had left by themselves without forgetting the room are not made to forget it, which
    RV(forgotten) and a warning tell. Once nobody of this server is joined, Synapse does not tell who of the others was
    invited. Then the module has Synapse look, and says by RV(kicked_users) whether there was anybody; check mode says that
    nothing would change.
  - A task that another has started goes by what that one asked for, such as its O(new_room_message) and O(force_purge).
seealso:
  - name: Synapse's admin API for rooms
    description: What the endpoints do.
    link: https://element-hq.github.io/synapse/latest/admin_api/rooms.html
  - name: Synapse's admin API for the history
    description: What a purge of the history removes.
    link: https://element-hq.github.io/synapse/latest/admin_api/purge_history_api.html
"""

EXAMPLES = r"""
- name: Purge a room
  synapse.tuning.room:
    room: "!abc:example.org"
    project_dir: /opt/synapse
    access_token: "{{ vault_synapse_admin_token }}"

- name: See what that would do
  synapse.tuning.room:
    room: "#big:example.org"
    access_token_file: /root/.synapse-admin-token
  check_mode: true
  diff: true

- name: Purge a room, tell its users, and let nobody in again
  synapse.tuning.room:
    room: "!abc:example.org"
    block: true
    new_room_user_id: "@admin:example.org"
    new_room_name: About a room that is gone
    new_room_message: The room took half of our disk. Its people meet at another server now.
    access_token_file: /root/.synapse-admin-token

- name: Purge it even though somebody cannot be made to leave
  synapse.tuning.room:
    room: "!abc:example.org"
    force_purge: true
    access_token_file: /root/.synapse-admin-token

- name: Leave a room, and keep what is stored of it
  synapse.tuning.room:
    room: "!abc:example.org"
    state: forgotten
    access_token_file: /root/.synapse-admin-token

- name: Keep three months of a busy room
  synapse.tuning.room:
    room: "!abc:example.org"
    state: trimmed
    older_than: 90d
    access_token_file: /root/.synapse-admin-token
"""

RETURN = r"""
room_id:
  description: The room's ID.
  type: str
  returned: success, and failure of a task
exists:
  description: Whether Synapse knows the room, in check mode, now.
  type: bool
  returned: success, and failure of a task
room:
  description:
    - What Synapse said of the room before; empty for a room that it did not know.
    - The numbers are its statistics, which come some seconds late.
  type: dict
  returned: success, and failure of a task
  sample:
    name: Big room
    canonical_alias: "#big:example.org"
    joined_members: 2400
    joined_local_members: 3
    state_events: 5100
forgotten:
  description: Whether all users of this server have forgotten the room; null where it is gone, or Synapse does not tell.
  type: bool
  returned: success, and failure of a task
finished:
  description: Whether all is done; V(false) with O(wait=false) or O(slice) while the task is under way.
  type: bool
  returned: success, and failure of a task
progress:
  description: How far the task is, one line; empty where it has ended.
  type: str
  returned: success, and failure of a task
  sample: the purge is active, 120 local users made to leave, 40 s
follow:
  description: What the next slice needs.
  type: dict
  returned: with O(slice), while the task is under way
task_id:
  description: The task, Synapse's C(delete_id) or C(purge_id); empty where none was needed.
  type: str
  returned: success, and failure of a task
status:
  description: V(scheduled), V(active), V(complete), V(failed) or V(cancelled); empty where there was no task.
  type: str
  returned: success, and failure of a task
adopted:
  description: Whether the task had been started by another.
  type: bool
  returned: success, and failure of a task
kicked_users:
  description: The users of this server who were made to leave.
  type: list
  elements: str
  returned: success, and failure of a task
failed_to_kick_users:
  description: Those who could not be made to leave. Synapse's log says why.
  type: list
  elements: str
  returned: success, and failure of a task
local_aliases:
  description: The aliases that lead to the new room now.
  type: list
  elements: str
  returned: success, and failure of a task
new_room_id:
  description: The room that O(new_room_user_id) has made; null for none.
  type: str
  returned: success, and failure of a task
error:
  description: Why Synapse's task failed, in its words; null where it did not, or does not say.
  type: str
  returned: success, and failure of a task
diff:
  description: What is known of the room, before and after.
  type: dict
  returned: success, and failure of a task
  contains:
    before:
      description: The lines before.
      type: str
    after:
      description: The lines after.
      type: str
  sample:
    before: "exists: true\nforgotten: false\n"
    after: "exists: false\n"
warnings:
  description: What to know besides, one line each.
  type: list
  elements: str
  returned: when there are any
"""

from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils._admin_api import ADMIN_ARGUMENTS, AdminApi, access_from
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._room import Request, manage

# Options by Synapse's names for them; Ansible keeps "message" for itself.
_NEW_ROOM = {"new_room_user_id": "new_room_user_id", "new_room_name": "room_name", "new_room_message": "message"}


def api_of(params):
    """The API, at the place where the slice before has found it."""
    access = access_from(params)
    if params["follow"]:
        access = replace(access, url=params["follow"].get("url") or access.url)
    return AdminApi(access)


def request_of(params, *, check_mode):
    """The options as a request."""
    names = ("room", "state", "block", "force_purge", "older_than", "delete_local_events", "wait", "wait_timeout")
    new_room = {theirs: params[ours] for ours, theirs in _NEW_ROOM.items() if params[ours]}
    return Request(
        **{name: params[name] for name in names},
        seconds=params["slice"],
        new_room=new_room,
        follow=params["follow"],
        check_mode=check_mode,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ADMIN_ARGUMENTS,
            "room": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["absent", "forgotten", "trimmed"], "default": "absent"},
            "block": {"type": "bool", "default": False},
            "force_purge": {"type": "bool", "default": False},
            "new_room_user_id": {"type": "str"},
            "new_room_name": {"type": "str"},
            "new_room_message": {"type": "str"},
            "older_than": {"type": "str"},
            "delete_local_events": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 3600},
            "slice": {"type": "int", "default": 0},
            "follow": {"type": "dict"},
        },
        required_if=[["state", "trimmed", ["older_than"]]],
        required_by={"new_room_name": ["new_room_user_id"], "new_room_message": ["new_room_user_id"]},
        supports_check_mode=True,
    )
    try:
        outcome = manage(api_of(module.params), request_of(module.params, check_mode=module.check_mode))
    except TuningError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    if outcome.failure:
        module.fail_json(msg=outcome.failure, **outcome.as_data())
    module.exit_json(**outcome.as_data())


if __name__ == "__main__":
    main()
