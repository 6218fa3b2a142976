#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a measurement on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: measurement_file
short_description: Keep a measurement as a JSON file, with a history
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Writes what M(synapse.tuning.memory_info) measured as sorted, indented JSON, once as the newest measurement and once into a
    history, and returns the one to compare it with.
  - Of the history the first measurement stays, as the others are compared with it, and the newest ones.
  - The files have mode C(0600) and hold no secret. One that is there keeps its owner and mode.
options:
  measurement:
    description: What M(synapse.tuning.memory_info) returned as RV(synapse.tuning.memory_info#module:measurement).
    type: dict
    required: true
  path:
    description:
      - The file of the newest measurement, which M(synapse.tuning.memory_info) takes as
        O(synapse.tuning.memory_info#module:previous).
      - Its directory must exist.
    type: path
    required: true
  directory:
    description:
      - The history. It is made with mode C(0700) where it is missing.
      - The default is C(measurements) beside O(path).
    type: path
  keep:
    description:
      - How many measurements stay in the history, the first and the newest, at least 2.
    type: int
    default: 10
  before:
    description:
      - The measurement to compare with, a file's name in O(directory) or its whole path.
      - The default is the first one of the history.
    type: str
attributes:
  check_mode:
    support: full
    description: Says what a real run would.
  diff_mode:
    support: full
    description: The names of the files that are written and removed.
seealso:
  - module: synapse.tuning.memory_info
  - module: synapse.tuning.memory_report
"""

EXAMPLES = r"""
- name: Measure the Synapse in a Compose project
  synapse.tuning.memory_info:
    project_dir: /opt/synapse
    previous: /opt/synapse/measurement.json
  become: true
  register: memory

- name: Keep it
  synapse.tuning.measurement_file:
    measurement: "{{ memory.measurement }}"
    path: /opt/synapse/measurement.json
  become: true
  register: kept
"""

RETURN = r"""
path:
  description: Its file in the history.
  type: str
  returned: success
  sample: /opt/synapse/measurements/measurement-20261128T164000Z.json
before:
  description: The measurement to compare with; null where this is the first one.
  type: dict
  returned: success
before_path:
  description: The file of RV(before); null where there is none.
  type: str
  returned: success
  sample: /opt/synapse/measurements/measurement-20261101T030000Z.json
removed:
  description: Files of the history that were too many.
  type: list
  elements: str
  returned: success
diff:
  description: What is written and removed.
  type: dict
  returned: success
  contains:
    before:
      description: The files that are removed, one a line.
      type: str
    after:
      description: The file that is written, where it is.
      type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils import _measurements
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "measurement": {"type": "dict", "required": True},
            "path": {"type": "path", "required": True},
            "directory": {"type": "path"},
            "keep": {"type": "int", "default": 10},
            "before": {"type": "str"},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        kept = _measurements.keep(
            module.params["measurement"],
            path=path,
            directory=module.params["directory"] or os.path.join(os.path.dirname(path), "measurements"),
            most=module.params["keep"],
            before=module.params["before"],
            dry_run=module.check_mode,
        )
    except TuningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=kept.changed,
        path=kept.path,
        before=kept.before,
        before_path=kept.before_path,
        removed=kept.removed,
        diff={
            "before": "".join(f"{name}\n" for name in kept.removed),
            "after": f"{kept.path}\n" if kept.changed else "",
        },
    )


if __name__ == "__main__":
    main()
