#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Go back to what files were before an earlier run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Go back to what files were before an earlier run
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Lists the runs that left backups of files, and brings the files back to what they were before one of them, byte for
    byte. A file that was made since is removed, one that was removed since comes back with its owner and mode.
  - All files are brought back or none.
  - Going back is a run as well. It leaves backups, and can be gone back from.
  - Only files are brought back. Nothing is restarted.
notes:
  - Needs ruamel.yaml on the host.
  - Backups are left by M(synapse.tuning.compose_file), M(synapse.tuning.homeserver_file) and
    M(synapse.tuning.plan_file). What they were told not to keep (O(backup=false)) cannot come back, and is no point.
  - A point for which the backups of one of the files were removed (O(backups)) is not offered, unless O(files) leaves
    that file out.
  - Owner and mode of a file that is there stay, as no run changes them.
extends_documentation_fragment:
  - synapse.tuning.backups
options:
  directories:
    description:
      - Where to look for backups. Directories below these are not looked into, and one that does not exist has none.
      - The backups of a file that is linked from there lie beside the file itself, and are found.
    type: list
    elements: path
    required: true
  to:
    description:
      - The run to go back before, as in RV(points[].run).
      - V(latest) is the last run, not counting those that went back themselves. V(original) is the first one.
      - Without it, the points are listed and nothing changes.
    type: str
  files:
    description:
      - Leave all other files as they are.
    type: list
    elements: path
  discard:
    description:
      - Remove the backups from the run O(to) on, as if there had been no such runs, and leave none of going back.
        It is for a play that failed and puts back what it has done.
      - A run that left no backups has changed nothing, and is no error then.
    type: bool
    default: false
requirements:
  - ruamel.yaml
attributes:
  check_mode:
    support: full
    description: Goes all the way but for the writing, so its answer is that of a real run.
  diff_mode:
    support: full
    description: The same in check mode and in a real run; secrets are masked.
seealso:
  - module: synapse.tuning.compose_file
  - module: synapse.tuning.homeserver_file
  - module: synapse.tuning.plan_file
"""

EXAMPLES = r"""
- name: See what can be gone back to
  synapse.tuning.rollback:
    directories: [/opt/synapse, /opt/synapse/data]
  register: found

- name: Undo the last run
  synapse.tuning.rollback:
    directories: [/opt/synapse, /opt/synapse/data]
    to: latest

- name: Bring one file back to what it was before the first run
  synapse.tuning.rollback:
    directories: [/opt/synapse/data]
    files: [/opt/synapse/data/homeserver.yaml]
    to: original

- name: Change two files or none
  vars:
    stamp: 20260102T030405.678901Z
  block:
    - name: Fit the compose file
      synapse.tuning.compose_file:
        plan: "{{ planned.plan }}"
        project_dir: /opt/synapse
        run: "{{ stamp }}"

    - name: Fit homeserver.yaml
      synapse.tuning.homeserver_file:
        plan: "{{ planned.plan }}"
        path: /opt/synapse/data/homeserver.yaml
        run: "{{ stamp }}"
  rescue:
    - name: Put back what was done
      synapse.tuning.rollback:
        directories: [/opt/synapse, /opt/synapse/data]
        to: "{{ stamp }}"
        discard: true
"""

RETURN = r"""
points:
  description: The points that could be gone back to when the module began, newest first.
  type: list
  elements: dict
  returned: success
  contains:
    run:
      description: The run to go back before, for O(to).
      type: str
    time:
      description: When that run was.
      type: str
    rollback:
      description: Whether that run went back itself.
      type: bool
    files:
      description: The files that have changed since.
      type: list
      elements: dict
      contains:
        path:
          description: The file.
          type: str
        backup_file:
          description: What it was; null where it was not there.
          type: str
  sample:
    - run: 20260102T030405.678901Z
      time: 2026-01-02 03:04:05 UTC
      rollback: false
      files:
        - path: /opt/synapse/compose.override.yml
          backup_file:
        - path: /opt/synapse/data/homeserver.yaml
          backup_file: /opt/synapse/data/homeserver.yaml.20260102T030405.678901Z.bak
to:
  description: The run that was gone back before; null where nothing was asked for or found.
  type: str
  returned: success
  sample: 20260102T030405.678901Z
run:
  description: The run to give as O(to) to undo this; null where nothing was kept.
  type: str
  returned: success
  sample: 20260102T040506.789012Z
restored:
  description: The files that were brought back, or would be; those that were right already are not among them.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: The file.
      type: str
    backup_file:
      description: What it was brought back from; null where it was removed. With O(discard) it is gone by now.
      type: str
    action:
      description: V(restored) or V(removed).
      type: str
  sample:
    - path: /opt/synapse/data/homeserver.yaml
      backup_file: /opt/synapse/data/homeserver.yaml.20260102T030405.678901Z.bak
      action: restored
warnings:
  description: Backups that could not be removed, one line each.
  type: list
  elements: str
  returned: when there are any
diff:
  description: One entry for each file that was brought back, before and after, secrets masked.
  type: list
  elements: dict
  returned: success
  contains:
    before:
      description: The text before; empty where the file did not exist.
      type: str
    after:
      description: The text after; empty where the file was removed.
      type: str
    before_header:
      description: The file.
      type: str
    after_header:
      description: The file.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _rollback
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._deps import RUAMEL_YAML


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directories": {"type": "list", "elements": "path", "required": True},
            "to": {"type": "str"},
            "files": {"type": "list", "elements": "path"},
            "discard": {"type": "bool", "default": False},
            **_backups.OPTIONS,
        },
        supports_check_mode=True,
    )
    if RUAMEL_YAML.missing:
        module.fail_json(
            msg=missing_required_lib(RUAMEL_YAML.name, reason=RUAMEL_YAML.reason), exception=RUAMEL_YAML.error
        )
    warnings = []
    try:
        request = _rollback.Request(
            directories=module.params["directories"],
            to=module.params["to"],
            files=module.params["files"],
            discard=module.params["discard"],
        )
        keep = _backups.Keep.from_options({**module.params, "backup": module.params["backup"] and not request.discard})
        change = _rollback.prepare(request, keep)
        if request.to is not None and not module.check_mode:
            warnings = _rollback.apply(change, directories=request.directories, keep=keep)
    except TuningError as error:
        module.fail_json(msg=str(error))
    for warning in warnings:
        module.warn(warning)
    kept = keep.backup and bool(change.steps) and not module.check_mode
    module.exit_json(
        changed=change.changed,
        points=change.listed(),
        to=change.run,
        run=keep.run if kept else None,
        restored=change.restored(),
        diff=[step.diff() for step in change.steps],
    )


if __name__ == "__main__":
    main()
