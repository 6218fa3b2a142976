# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that put the plan into somebody's files have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and attributes of a module that changes a file to the plan."""

    DOCUMENTATION = r"""
options:
  plan:
    description:
      - The plan that M(synapse.tuning.plan_info) returns.
    type: dict
    required: true
requirements:
  - ruamel.yaml
attributes:
  check_mode:
    support: full
    description: Goes all the way but for the writing, so its answer is that of a real run.
  diff_mode:
    support: full
    description: The same in check mode and in a real run; secrets are masked.
"""
