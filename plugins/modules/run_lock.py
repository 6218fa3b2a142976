#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's half of the lock; the action plugin of the same name says who asks, judges and waits."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Let one run at a time work on a host
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Takes a lock file on the host for this run of C(ansible-playbook), for all tasks until the run gives it back. A run that
    finds it held by another one waits, or fails with one line that says who has it since when and what to do.
  - The lock names its run by controller, process and the time that the process started. A run on the same controller whose
    process has ended, however it ended, blocks nobody. Its lock is taken over, with a warning.
  - Whether a run on another controller is still alive can't be asked. Its lock must be given back or broken. A
    container that C(ansible-playbook) runs in is a controller of its own.
  - Taking a lock that this run has already succeeds. Hosts of the inventory that are one machine share the lock of one
    path, and the first to give it back gives it back for all.
  - The file is JSON, with mode C(0600). It holds nothing secret. A run as another user can't read it, unless that is root.
  - Nothing is held between two tasks but the file, so nothing on the host needs to stay alive.
options:
  path:
    description:
      - The lock file. Its directory must exist.
      - A symbolic link, a file with hard links, and a file that holds something else are refused and left as they are.
    type: path
    required: true
  state:
    description:
      - V(present) takes the lock.
      - V(absent) gives it back. A lock that this run does not have is left as it is, and is no error.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description:
      - How many seconds to wait for another run to give the lock back or to end.
      - V(0) does not wait.
      - The controller waits, and asks the host every two seconds.
    type: int
    default: 0
  break_lock:
    description:
      - Take the lock from whatever run has it, or where it is damaged. That run is not stopped, so be sure that it is dead.
      - Has no effect with O(state=absent).
    type: bool
    default: false
  record:
    description:
      - What the lock will say. The action plugin fills it in; a task can't.
    type: str
  instead_of:
    description:
      - What the lock says of a run that has ended. The action plugin fills it in; a task can't.
    type: str
attributes:
  action:
    support: full
    description: Runs on the controller, which alone knows whether a run of its own is alive, and calls the module on the host.
  async:
    support: none
    description: A lock that is taken in the background would guard nothing.
  check_mode:
    support: full
    description: >-
      Only looks. Takes, waits for and gives back nothing, and where a real run would be refused, it warns and does not fail.
  diff_mode:
    support: N/A
    description: A lock is no change of the host, so nothing ever counts as changed.
"""

EXAMPLES = r"""
- name: Be the only run on this host
  synapse.tuning.run_lock:
    path: /opt/synapse/.synapse-tuning.lock
    timeout: 300

- name: Work
  block:
    - name: Change something
      ansible.builtin.import_role:
        name: synapse.tuning.compose
  always:
    - name: Let the next run in
      synapse.tuning.run_lock:
        path: /opt/synapse/.synapse-tuning.lock
        state: absent

- name: Take it from a run that died with its controller
  synapse.tuning.run_lock:
    path: /opt/synapse/.synapse-tuning.lock
    break_lock: true
"""

RETURN = r"""
path:
  description: The lock file.
  type: str
  returned: success
  sample: /opt/synapse/.synapse-tuning.lock
acquired:
  description: Whether this run has the lock now. False in check mode.
  type: bool
  returned: success
released:
  description: Whether this run gave the lock back just now.
  type: bool
  returned: success
holder:
  description: The run that has the lock now. Null where none has it, and with O(state=absent).
  type: dict
  returned: success
  contains: &run
    user:
      description: Who started it.
      type: str
      sample: ada
    controller:
      description: The machine that it runs on.
      type: str
      sample: laptop.example.org
    pid:
      description: The process of C(ansible-playbook) there.
      type: int
      sample: 4711
    since:
      description: When it took the lock, by the controller's clock, in UTC.
      type: str
      sample: "2026-01-31T20:15:00Z"
previous:
  description: The run that the lock was taken from, because it had ended or by O(break_lock). Null where there was none.
  type: dict
  returned: success
  contains: *run
"""

from typing import Any, Dict, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils import _run_lock
from ansible_collections.synapse.tuning.plugins.module_utils._core import run_lock
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.run_lock import Holder


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "int", "default": 0},
            "break_lock": {"type": "bool", "default": False},
            "record": {"type": "str"},
            "instead_of": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    asker = run_lock.parse(params["record"] or "")
    if asker is None:
        module.fail_json(msg="record is for the action plugin of this module; run it as a task, by its full name")
    result: Dict[str, Any] = {"acquired": False, "released": False, "holder": None, "previous": None}
    try:
        if module.check_mode:
            if params["state"] == "present":
                result["holder"] = _record(_run_lock.look(params["path"]))
        elif params["state"] == "absent":
            result["released"] = _run_lock.release(params["path"], asker)
        else:
            outcome = _run_lock.take(
                params["path"],
                asker,
                instead_of=run_lock.parse(params["instead_of"] or ""),
                break_lock=params["break_lock"],
            )
            result["acquired"] = outcome.acquired
            result["holder"] = _record(outcome.holder)
            result["previous"] = _record(outcome.previous)
    except TuningError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        module.warn(str(error))
    module.exit_json(changed=False, path=params["path"], **result)


def _record(holder: Optional[Holder]) -> Optional[str]:
    """All that the action plugin needs to judge; it leaves of it what people need."""
    return None if holder is None else run_lock.render(holder)


if __name__ == "__main__":
    main()
