#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Print a plan and what became of it as a table
version_added: 0.1.0
author: The synapse.tuning authors (@synapse-tuning)
description:
  - Prints each lever of the plan, what it was and is and why, the memory budget, what was interrupted or the services to
    restart with the commands for it, what was read back from the running system, warnings and advice.
  - Runs on the controller and changes nothing. The table is written past the callback plugin, so that it is readable;
    with a callback that prints JSON, leave the task out.
  - Nothing secret is printed, for neither the plan nor the levers hold secrets.
options:
  plan:
    description: The plan, which M(synapse.tuning.plan_info) returns under C(plan).
    type: dict
    required: true
  deployment:
    description: What M(synapse.tuning.deployment) returned.
    type: dict
  compose:
    description:
      - What M(synapse.tuning.compose_file) returned.
      - Without it, the levers of the compose file are shown as planned, with nothing to compare with.
    type: dict
  homeserver:
    description: What M(synapse.tuning.homeserver_file) returned; like O(compose).
    type: dict
  postgresql:
    description:
      - What M(synapse.tuning.postgresql_parameters) returned.
      - Without it, the levers of tables are shown as left to do.
    type: dict
  plan_path:
    description: Where the plan lies on the host; empty leaves that line out.
    type: str
    default: ""
  project_dir:
    description: The directory to run C(docker compose) in; empty leaves the C(cd) out.
    type: str
    default: ""
  compressor:
    description:
      - The variable C(synapse_tuning_compressor_result) of the role P(synapse.tuning.compressor#role).
      - Without it, that section is left out.
    type: dict
  apply:
    description: Whether the run brings the containers up; else it says what to type.
    type: bool
    default: false
  interruptions:
    description:
      - What the run has interrupted, one line each, as the filter P(synapse.tuning.interruptions#filter) says it.
      - Without it nothing was applied.
    type: list
    elements: str
  effective:
    description:
      - What M(synapse.tuning.effective_info) returned.
      - Without it, that section is left out.
    type: dict
  only_verified:
    description: Print nothing but O(effective).
    type: bool
    default: false
  width:
    description: Characters a line. By default the terminal's width, but at least 100 and at most 120.
    type: int
attributes:
  check_mode:
    support: full
    description: Prints the same, in the conditional.
  diff_mode:
    support: N/A
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Make a plan
  synapse.tuning.plan_info:
    users: 5
    ram: 2G
    cpus: 2
  register: planned

- name: Show it
  synapse.tuning.report:
    plan: "{{ planned.plan }}"
"""

RETURN = r"""#"""
