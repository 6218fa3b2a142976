# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what bringing a project up will interrupt."""

from __future__ import annotations

DOCUMENTATION = r"""
name: interruptions
short_description: Say what bringing a project up will interrupt
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Makes lines for people of what Compose would do and of what Synapse needs to take up its files.
options:
  _input:
    description: What M(community.docker.docker_compose_v2) returned in check mode, once or several times.
    type: list
    elements: dict
    required: true
  restarts:
    description: The RV(synapse.tuning.effective_info#module:restarts) of M(synapse.tuning.effective_info).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Ask Compose what it would do
  community.docker.docker_compose_v2:
    project_src: /opt/synapse
  check_mode: true
  register: would

- name: See what runs
  synapse.tuning.effective_info:
    project_dir: /opt/synapse
  register: running

- name: Say what will be interrupted
  ansible.builtin.debug:
    msg: "{{ [would] | synapse.tuning.interruptions(restarts=running.restarts) }}"
"""

RETURN = r"""
_value:
  description: One line for each service that is interrupted or reloaded.
  type: list
  elements: str
"""

from ansible_collections.synapse.tuning.plugins.module_utils._core.interruptions import interruptions


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Name to function."""
        return {"interruptions": interruptions}
