#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write what a measurement shows as one HTML page."""

from __future__ import annotations

DOCUMENTATION = r"""
module: memory_report
short_description: Write what a measurement shows as one HTML page
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Writes a page with what to do next in the order of what it returns, the memory budget against its use as a picture,
    the figures before and after, Synapse's caches, the heaviest rooms, and what could not be measured.
  - The page needs nothing beside it. It holds no script, asks for nothing, and can be printed. Every text in it is escaped,
    and its policy forbids a browser to run or fetch anything all the same.
  - What is not known is said in the page, and never an error; what is no measurement, no plan or no room is one.
options:
  path:
    description:
      - The file to write. A new one gets mode C(0600), as it names rooms; an existing one keeps its owner and mode.
      - Its directory must exist.
      - Without it nothing is written, and the text alone is returned.
    type: path
  measurement:
    description: What M(synapse.tuning.memory_info) returned as RV(synapse.tuning.memory_info#module:measurement).
    type: dict
    required: true
  measurement_path:
    description:
      - The file on the host that holds it, such as O(synapse.tuning.measurement_file#module:path).
      - The commands that plan from it name this file, and without it a placeholder. It is not read.
    type: path
  before:
    description:
      - An earlier one to compare with, such as RV(synapse.tuning.measurement_file#module:before).
      - Without it the page says that this is the first measurement.
    type: dict
  plan:
    description:
      - The plan, which M(synapse.tuning.plan_info) returns under RV(synapse.tuning.plan_info#module:plan), for its budget.
    type: dict
  plan_path:
    description:
      - The file on the host that holds the plan. One that is not there is no error.
    type: path
  rooms:
    description: What M(synapse.tuning.rooms_info) returned as RV(synapse.tuning.rooms_info#module:rooms).
    type: list
    elements: dict
    default: []
  rooms_missing:
    description: Why there are no rooms, where they could not be ranked.
    type: str
    default: ""
  host:
    description: What to call the host in the title.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says what a real run would.
  diff_mode:
    support: full
    description: When the page before and after was measured and how long it is, not its text.
seealso:
  - module: synapse.tuning.memory_info
  - module: synapse.tuning.measurement_file
  - module: synapse.tuning.rooms_info
"""

EXAMPLES = r"""
- name: Measure the Synapse in a Compose project
  synapse.tuning.memory_info:
    project_dir: /opt/synapse
  become: true
  register: memory

- name: Write what that shows
  synapse.tuning.memory_report:
    measurement: "{{ memory.measurement }}"
    plan_path: /opt/synapse/plan.json
    host: "{{ inventory_hostname }}"
    path: /opt/synapse/memory-report.html
  become: true
  register: written

- name: Show it
  ansible.builtin.debug:
    msg: "{{ written.table.splitlines() }}"
"""

RETURN = r"""
path:
  description: The file; null for none.
  type: str
  returned: success
  sample: /opt/synapse/memory-report.html
table:
  description: Before and after, budget against use and what to do next as a text for people.
  type: str
  returned: success
steps:
  description: What to do next. What fails comes first, then what returns most memory.
  type: list
  elements: dict
  returned: success
  contains:
    urgency:
      description: V(failing), V(memory), V(better), or V(see_more).
      type: str
    title:
      description: What is the matter.
      type: str
    figure:
      description: The figures that say so.
      type: str
    advice:
      description: What to do; may be empty.
      type: str
    command:
      description: A command for that; may be empty.
      type: str
    returns:
      description: Bytes of memory that it gives back; V(0) for not known.
      type: int
diff:
  description: When the page was measured and how long it is.
  type: dict
  returned: success
  contains:
    before:
      description: The page before; empty where there was none.
      type: str
    after:
      description: The page after.
      type: str
    before_header:
      description: The file.
      type: str
    after_header:
      description: The file.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils import _memory_report
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.html_report import html_report
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_plan import KnownPlan
from ansible_collections.synapse.tuning.plugins.module_utils._core.measure_report import measure_report
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_findings import find
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Room


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path"},
            "measurement": {"type": "dict", "required": True},
            "measurement_path": {"type": "path"},
            "before": {"type": "dict"},
            "plan": {"type": "dict"},
            "plan_path": {"type": "path"},
            "rooms": {"type": "list", "elements": "dict", "default": []},
            "rooms_missing": {"type": "str", "default": ""},
            "host": {"type": "str", "default": ""},
        },
        mutually_exclusive=[["plan", "plan_path"]],
        supports_check_mode=True,
    )
    given, path = module.params, module.params["path"]
    written = {"changed": False, "diff": {"before": "", "after": ""}}
    try:
        findings = find(
            Measurement.from_data(given["measurement"]),
            before=Measurement.from_data(given["before"]) if given["before"] else None,
            plan=KnownPlan.from_data(given["plan"]) if given["plan"] else _memory_report.read_plan(given["plan_path"]),
            rooms=[Room.from_data(room) for room in given["rooms"]],
            rooms_missing=given["rooms_missing"],
            host=given["host"],
            path=given["measurement_path"],
        )
        if path:
            written = _memory_report.write(path, html_report(findings), dry_run=module.check_mode)
    except TuningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        path=path,
        table="\n".join(measure_report(findings)),
        steps=[step.as_data() for step in findings.steps],
        **written,
    )


if __name__ == "__main__":
    main()
