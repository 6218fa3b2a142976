# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell rooms that may be purged from those that may not."""

from __future__ import annotations

DOCUMENTATION = r"""
name: purgeable
short_description: Tell rooms that may be purged from those that may not
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Keeps rooms that are protected, and those that people of this server use.
options:
  _input:
    description: The RV(synapse.tuning.rooms_info#module:rooms) of M(synapse.tuning.rooms_info).
    type: list
    elements: dict
    required: true
  protect:
    description: IDs and canonical aliases of rooms that are never purged.
    type: list
    elements: str
    default: []
  max_active_local_members:
    description:
      - A room with more of them may not be purged. Where it is not known how many local members are active, all of them count.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Rank the rooms
  synapse.tuning.rooms_info:
    project_dir: /opt/synapse
  register: heavy

- name: Show which of them could go
  ansible.builtin.debug:
    msg: "{{ (heavy.rooms | synapse.tuning.purgeable(max_active_local_members=1)).purge | map(attribute='room_id') }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary. C(purge) has the rooms that may be purged, C(keep) a C(room_id) and a C(reason) for each of the others.
  type: dict
"""

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_selection import purgeable


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Name to function."""
        return {"purgeable": purgeable}
