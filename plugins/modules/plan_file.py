#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a plan on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_file
short_description: Keep a plan as a JSON file
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Writes the plan as sorted, indented JSON, so that two plans can be compared line by line.
  - M(synapse.tuning.plan_info) takes the file as O(synapse.tuning.plan_info#module:previous).
  - A file that holds the plan already is left as it is. The file holds no secret.
extends_documentation_fragment:
  - synapse.tuning.backups
options:
  plan:
    description: The plan that M(synapse.tuning.plan_info) returns.
    type: dict
    required: true
  path:
    description:
      - The file. A new one gets mode C(0644), an existing one keeps its owner and mode.
      - Its directory must exist.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Says what a real run would.
  diff_mode:
    support: full
    description: The file before and after.
seealso:
  - module: synapse.tuning.plan_info
"""

EXAMPLES = r"""
- name: Plan for this host
  synapse.tuning.plan_info:
    users: 40
    previous: /opt/synapse/plan.json
  register: planned

- name: Keep the plan
  synapse.tuning.plan_file:
    plan: "{{ planned.plan }}"
    path: /opt/synapse/plan.json
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success
  sample: /opt/synapse/plan.json
backup_file:
  description:
    - The copy of the file as it was before the run.
    - Null where nothing was written, none was wanted, or there was no file.
  type: str
  returned: success
  sample: /opt/synapse/plan.json.20260102T030405.678901Z.bak
run:
  description: The stamp of the run, for O(run) of the tasks that follow.
  type: str
  returned: success
  sample: 20260102T030405.678901Z
diff:
  description: The file before and after.
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

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True},
            "path": {"type": "path", "required": True},
            **_backups.OPTIONS,
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    after = json.dumps(module.params["plan"], indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    written = _backups.Written(None, ())
    try:
        keep = _backups.Keep.from_options(module.params)
        is_new = not os.path.lexists(path)
        before = "" if is_new else _files.read_text(path)
        if before != after and not module.check_mode:
            if is_new:
                written = _backups.create(path, after, mode=0o644, keep=keep)
            else:
                written = _backups.replace(path, after, keep=keep)
    except TuningError as error:
        module.fail_json(msg=str(error))
    for warning in written.warnings:
        module.warn(warning)
    module.exit_json(
        changed=before != after,
        path=path,
        backup_file=written.backup_file,
        run=keep.run,
        diff={"before": before, "after": after, "before_header": path, "after_header": path},
    )


if __name__ == "__main__":
    main()
